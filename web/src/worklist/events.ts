// The stream of changed rows; it opens itself anew, and says when something may have been missed.
import { useEffect } from "react";
import type { StudyRow } from "../api/client";
import { useSession } from "../store/session";
import { useList } from "./list";

const AGAIN_MS = 5000;

export function useEvents(): void {
  useEffect(() => {
    let source: EventSource | null = null;
    let timer = 0;
    let broken = false;
    let left = false;
    const begin = (): Promise<void> => useSession.getState().begin().catch(() => undefined);
    const later = (): void => {
      source?.close();
      if (!left) timer = window.setTimeout(open, AGAIN_MS);
    };
    const open = (): void => {
      source = new EventSource("/api/events");
      source.addEventListener("study", (event: MessageEvent<string>) => {
        useList.getState().tell((JSON.parse(event.data) as { study: StudyRow }).study);
      });
      source.addEventListener("over", () => {
        source?.close();
        void begin().then(later);
      });
      source.addEventListener("open", () => {
        if (broken) useList.getState().doubt();
        broken = false;
        useList.getState().hear(true);
      });
      source.addEventListener("error", () => {
        broken = true;
        useList.getState().hear(false);
        // closed for good: the session is over (401), or the server refuses
        if (source?.readyState === EventSource.CLOSED) void begin().then(later);
      });
    };
    open();
    return () => {
      left = true;
      useList.getState().hear(true);
      window.clearTimeout(timer);
      source?.close();
    };
  }, []);
}
