// Addresses of the page, without a reload: /worklist, /study/<id>, /import, /admin/<topic>.
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
