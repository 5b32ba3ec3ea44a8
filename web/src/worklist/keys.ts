// What a key does in the worklist; pure, so that it can be tested.
import type { Sort } from "./list";

export type Act =
  | { do: "move"; to: "next" | "previous" | "page-down" | "page-up" | "first" | "last" }
  | { do: "open" | "refresh" | "help" | "search" | "flagged" | "unsigned" | "open-aside" | "manage" | "retry" | "clear" }
  | { do: "sort"; by: Sort };

const KEYS: Record<string, Act> = {
  j: { do: "move", to: "next" },
  ArrowDown: { do: "move", to: "next" },
  k: { do: "move", to: "previous" },
  ArrowUp: { do: "move", to: "previous" },
  PageDown: { do: "move", to: "page-down" },
  PageUp: { do: "move", to: "page-up" },
  Home: { do: "move", to: "first" },
  End: { do: "move", to: "last" },
  Enter: { do: "open" },
  r: { do: "refresh" },
  R: { do: "refresh" },
  "?": { do: "help" },
  "/": { do: "search" },
  f: { do: "flagged" },
  u: { do: "unsigned" },
  o: { do: "open-aside" },
  m: { do: "manage" },
  t: { do: "retry" },
  Escape: { do: "clear" },
  "1": { do: "sort", by: "suspicion" },
  "2": { do: "sort", by: "patient" },
  "3": { do: "sort", by: "time" },
  "4": { do: "sort", by: "changed" },
};

export const HELP: [string, string][] = [
  ["J  ↓", "next study"],
  ["K  ↑", "previous study"],
  ["Page Up  Page Down", "a page up, a page down"],
  ["Home  End", "first, last study"],
  ["Enter", "open the study; a click does too"],
  ["O", "open it in another tab; Ctrl and a click do too"],
  ["/", "search; Enter goes back to the list, Esc clears"],
  ["U", "only what is not signed, or all"],
  ["F", "only what the AI flagged, or all"],
  ["1  2  3  4", "sort by suspicion, patient, time received, time changed; again turns the order round"],
  ["R", "refresh: new studies come into the list"],
  ["T", "try a failed analysis again"],
  ["M", "priority, access, deletion (managers)"],
  ["?", "this sheet"],
];

export interface Pressed {
  key: string;
  ctrl: boolean;
  /** Where the key went: a field takes letters, a button takes Enter, an open dialog takes all. */
  on: "page" | "button" | "field" | "dialog";
}

export function actOf({ key, ctrl, on }: Pressed): Act | null {
  if (ctrl || on === "field" || on === "dialog") return null;
  if (on === "button" && key === "Enter") return null;
  return (Object.hasOwn(KEYS, key) ? KEYS[key] : undefined) ?? null;
}

/** The index that a move ends at, within the list; an empty list has only 0. */
export function moved(index: number, to: (Act & { do: "move" })["to"], total: number, page: number): number {
  const step = Math.max(1, page - 1);
  const aim = { next: index + 1, previous: index - 1, "page-down": index + step, "page-up": index - step, first: 0, last: total - 1 }[to];
  return Math.max(0, Math.min(total - 1, aim));
}

export function placeOf(target: EventTarget | null): Pressed["on"] {
  if (!(target instanceof Element)) return "page";
  if (target.closest("dialog")) return "dialog";
  if (target.closest("input, select, textarea, [contenteditable=true]")) return "field";
  return target.closest("button, a") ? "button" : "page";
}
