// What a table shows: loading, an error in words, or the answer; the old answer stays while a new one is fetched.
import { useCallback, useEffect, useState } from "react";
import { ApiError, get } from "./client";

export const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export interface Loaded<T> {
  data: T | null;
  problem: string;
  /** HTTP status of the problem; 0 where there was no answer. */
  status: number;
  reload: () => void;
}

/** An empty path asks for nothing. */
export function useLoaded<T>(path: string): Loaded<T> {
  const [told, setTold] = useState<{ path: string; data: T | null; problem: string; status: number }>({ path: "", data: null, problem: "", status: 0 });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!path) return;
    const stop = new AbortController();
    get<T>(path, stop.signal)
      .then((data) => setTold({ path, data, problem: "", status: 0 }))
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        setTold((was) => ({ path, data: was.path === path ? was.data : null, problem: wordsOf(error), status: error instanceof ApiError ? error.status : 0 }));
      });
    return () => stop.abort();
  }, [path, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  const mine = told.path === path;
  return { data: mine ? told.data : null, problem: mine ? told.problem : "", status: mine ? told.status : 0, reload };
}
