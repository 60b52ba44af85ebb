/** The page's icons: paths on a 20 × 20 grid, drawn with the colour of the text around them. Decoration: buttons carry their own names. */
import type { JSX } from "preact";

const PATHS = {
  attach: "M13.5 6.5 7.6 12.4a1.8 1.8 0 0 0 2.5 2.5l6.2-6.2a3.4 3.4 0 0 0-4.8-4.8L5 10.4a5 5 0 0 0 7.1 7.1l4.4-4.4",
  check: "m4 10.5 4 4 8-9",
  close: "m5 5 10 10M15 5 5 15",
  copy: "M7.5 7.5h9v9h-9zM12.5 7.5v-4h-9v9h4",
  down: "M10 4v12m-5-5 5 5 5-5",
  edit: "m4 16 .8-3.6L13.2 4 16 6.8l-8.4 8.4zM11.5 5.7l2.8 2.8",
  eye: "M2 10s3-5.5 8-5.5 8 5.5 8 5.5-3 5.5-8 5.5S2 10 2 10Zm8 2.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  keyboard: "M2.5 5.5h15v9h-15zM5.5 8.5h.1m2.9 0h.1m2.9 0h.1m2.9 0h.1M6.5 11.8h7",
  menu: "M3.5 5.5h13m-13 4.5h13m-13 4.5h13",
  moon: "M16 12.2A6.5 6.5 0 0 1 7.8 4a6.5 6.5 0 1 0 8.2 8.2Z",
  plus: "M10 4v12M4 10h12",
  retry: "M15.5 7.5A6 6 0 1 0 16 11m0-7.5v4.3h-4.3",
  send: "M10 16V4m-5 5 5-5 5 5",
  settings: "M3.5 6h7m4 0h2m-13 8h2m4 0h7M10.5 6a2 2 0 1 0 4 0 2 2 0 0 0-4 0Zm-5 8a2 2 0 1 0 4 0 2 2 0 0 0-4 0Z",
  stop: "M6 6h8v8H6z",
  sun: "M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM10 1.8v1.7m0 13v1.7M1.8 10h1.7m13 0h1.7M4.2 4.2l1.2 1.2m9.2 9.2 1.2 1.2m0-11.6-1.2 1.2m-9.2 9.2-1.2 1.2",
  trash: "M4 6h12M8 6V4h4v2m-6.5 0 .7 10h7.6l.7-10M8.5 9v4.5m3-4.5v4.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
