// Addresses of the page, without a reload: /worklist, /study/<id>, /import, /admin/<topic>, /account.
import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let guard: (() => boolean) | null = null;

/** Asked before leaving; false keeps the reader here. */
export function guardLeaving(check: (() => boolean) | null): void {
  guard = check;
}

export function go(path: string): void {
  if (guard && !guard()) return;
  history.pushState(null, "", path);
  listeners.forEach((listen) => listen());
}

/** Another address for where one is already; the way back does not lead through the old one. */
export function settle(path: string): void {
  history.replaceState(null, "", path);
  listeners.forEach((listen) => listen());
}

addEventListener("popstate", () => listeners.forEach((listen) => listen()));

export function usePath(): string {
  return useSyncExternalStore(
    (listen) => {
      listeners.add(listen);
      return () => listeners.delete(listen);
    },
    () => location.pathname,
  );
}
