/**
 * The formats of strings that we can write, as patterns. Each takes a part of what the format allows: all of it for dates and UUIDs, the
 * plain forms of addresses and URIs.
 */

const LEAP_YEAR = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const DATE = `(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))|${LEAP_YEAR}-02-29)`;
const TIME = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const LABEL = "[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?";
const HOST = `${LABEL}(?:\\.${LABEL}){0,3}`;
const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const PATH = "(?:/[A-Za-z0-9._~-]+)*";
const URI = `https?://[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[1-9]\\d{0,3})?${PATH}/?(?:\\?[A-Za-z0-9._~=&-]+)?(?:#[A-Za-z0-9._~-]+)?`;
const AMOUNT = "\\d{1,6}";
const DATE_SPAN = `(?:${AMOUNT}Y(?:${AMOUNT}M(?:${AMOUNT}D)?)?|${AMOUNT}M(?:${AMOUNT}D)?|${AMOUNT}D)`;
const TIME_SPAN = `T(?:${AMOUNT}H(?:${AMOUNT}M(?:${AMOUNT}S)?)?|${AMOUNT}M(?:${AMOUNT}S)?|${AMOUNT}S)`;

/** Format → pattern of the whole text. */
export const FORMATS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    date: DATE,
    time: TIME,
    "date-time": `${DATE}T${TIME}`,
    duration: `P(?:${DATE_SPAN}(?:${TIME_SPAN})?|${TIME_SPAN}|${AMOUNT}W)`,
    uuid: "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    email: `[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,32}){0,2}@${LABEL}(?:\\.${LABEL}){1,3}`,
    hostname: HOST,
    ipv4: `${BYTE}\\.${BYTE}\\.${BYTE}\\.${BYTE}`,
    ipv6: "(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
    uri: URI,
    "uri-reference": `(?:${URI}|/[A-Za-z0-9._~-]+${PATH})`,
  }).map(([name, pattern]) => [name, `^(?:${pattern})$`]),
);
