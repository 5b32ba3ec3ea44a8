// Nothing that a reader did is lost: when another window was faster, when the page is left, when the server is away.
import { useEffect, useRef } from "react";
import { guardLeaving } from "../app/route";
import { holdsBack, useReading } from "../store/reading";
import { forgetStrokes, saveNow, unsaved } from "./editing";
import type { Labels } from "./labels";

const RETRY_MS = 5000;

/** Keep what is painted in `labels`; `reload` fetches the mask anew after somebody else changed it. */
export function useKeeping(labels: Labels | null, reload: () => void): void {
  useEffect(() => (labels ? holdsBack(() => saveNow(labels)) : undefined), [labels]);
  const collided = useCollision(labels, reload);
  const saving = useReading((s) => s.saving);

  useEffect(() => {
    const leave = (event: BeforeUnloadEvent): void => {
      if (unsaved(labels)) event.preventDefault();
    };
    addEventListener("beforeunload", leave);
    guardLeaving(() => {
      if (labels) void saveNow(labels);
      const now = useReading.getState().saving;
      return now === "saved" || now === "saving" || confirm("Some of your work is not saved yet. Leave it behind?");
    });
    return () => {
      removeEventListener("beforeunload", leave);
      guardLeaving(null);
      // the browser's back button asks no guard; the last strokes go on their way before another study is open
      if (labels && !collided.current) void saveNow(labels);
    };
  }, [labels, collided]);

  // what was kept here while the server was away is sent by itself
  useEffect(() => {
    if (saving !== "offline") return;
    const retry = (): void => void useReading.getState().retry();
    const timer = window.setInterval(retry, RETRY_MS);
    addEventListener("online", retry);
    return () => {
      window.clearInterval(timer);
      removeEventListener("online", retry);
    };
  }, [saving]);
}

/** Whoever won a conflict: the planes of the other side are on the server and not here, and would be painted over unseen. */
function useCollision(labels: Labels | null, reload: () => void): React.RefObject<"" | "theirs" | "mine"> {
  const conflict = useReading((s) => s.conflict);
  const saving = useReading((s) => s.saving);
  const collided = useRef<"" | "theirs" | "mine">("");
  useEffect(() => {
    if (conflict) collided.current = "theirs";
    else if (collided.current && saving === "saving") collided.current = "mine";
    else if (collided.current && saving === "saved") {
      if (collided.current === "mine" && labels) void saveNow(labels).then(reload);
      else {
        forgetStrokes(labels);
        reload();
      }
      collided.current = "";
    }
  }, [conflict, saving, labels, reload]);
  return collided;
}
