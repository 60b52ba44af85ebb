/** Starts the page: preferences, database, server, then the first picture on the screen. */
import { effect } from "@preact/signals";
import { render } from "preact";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/chat.css";
import "./styles/markdown.css";
import "./styles/composer.css";
import "./styles/saw.css";
import "./styles/dialogs.css";
import { App } from "./app.tsx";
import { pauseMs } from "./markdown/render-cost.ts";
import { connectServer } from "./model/ask-server.ts";
import { ChatDatabase } from "./model/chat-database.ts";
import { ChatStore } from "./model/chat-store.ts";
import { toDataUrl } from "./model/data-url.ts";
import { openPreferences } from "./model/preferences.ts";
import { StorageRefused } from "./ui/storage-refused.tsx";

const root = document.getElementById("app") as HTMLElement;

async function start(): Promise<void> {
  const preferences = openPreferences(localStorage, sessionStorage);
  effect(() => {
    const theme = preferences.theme.value;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  });
  const database = await ChatDatabase.open();
  const store = new ChatStore({
    database,
    server: connectServer(new URL(".", location.href)),
    settings: preferences.settings,
    apiKey: preferences.apiKey,
    toDataUrl,
    schedule: (paint) => {
      const pause = pauseMs();
      // Hidden tabs get no frames, but their answers go on.
      if (pause > 0 || document.hidden) setTimeout(paint, document.hidden ? 200 + pause : pause);
      else requestAnimationFrame(paint);
    },
  });
  database.onChange(() => void store.refresh());
  await store.start();
  render(<App store={store} preferences={preferences} database={database} />, root);
}

start().catch((error: unknown) => render(<StorageRefused error={error} />, root));
