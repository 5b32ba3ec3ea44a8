// The reading that is open: its document and version, changes on their way to the server, and what happens when two collide.
import { create } from "zustand";
import { ApiError, call, get, OfflineError, request, type Change, type Reading } from "../api/client";

export type Saving = "saved" | "saving" | "offline" | "conflict" | "refused";

export interface Conflict {
  words: string;
  version: number;
  by: string | null;
}

/** Planes of the mask that were painted and are not on the server yet. */
export interface Planes {
  first: number;
  last: number;
  voxels: Uint8Array;
}

interface State {
  studyId: string | null;
  reading: Reading | null;
  saving: Saving;
  problem: string;
  conflict: Conflict | null;
  active: number | null;
  load: (studyId: string) => Promise<void>;
  change: (changes: Change[]) => Promise<boolean>;
  saveMask: (planes: Planes) => Promise<boolean>;
  takeTheirs: () => Promise<void>;
  keepMine: () => Promise<void>;
  retry: () => Promise<void>;
  select: (number: number | null) => void;
  put: (reading: Reading) => void;
}

type Waiting = { kind: "changes"; changes: Change[] } | { kind: "mask"; planes: Planes };

async function gzip(bytes: Uint8Array): Promise<Blob> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).blob();
}

export const useReading = create<State>((set, state) => {
  // One request at a time, in the order of the reader's hand: each is made on the version the one before gave.
  let queue: Waiting[] = [];
  let running: Promise<boolean> | null = null;

  const send = async (studyId: string, version: number, next: Waiting): Promise<Reading> => {
    const headers = { "If-Match": `"${version}"` };
    const path = `/api/studies/${studyId}`;
    if (next.kind === "changes") {
      return call<Reading>("PATCH", `${path}/reading`, { json: { changes: next.changes }, headers });
    }
    const { first, last, voxels } = next.planes;
    const answer = await request("PUT", `${path}/mask?first_k=${first}&last_k=${last}`, {
      body: await gzip(voxels),
      headers: { ...headers, "Content-Type": "application/octet-stream" },
    });
    return (await answer.json()) as Reading;
  };

  const drain = async (): Promise<boolean> => {
    const { studyId } = state();
    while (queue.length > 0) {
      const { reading } = state();
      const next = queue[0];
      if (!studyId || !reading || !next || state().studyId !== studyId) return false;
      set({ saving: "saving", problem: "" });
      try {
        const fresh = await send(studyId, reading.version, next);
        if (state().studyId !== studyId) return false;
        queue.shift();
        set({ reading: fresh });
      } catch (error) {
        return failed(error);
      }
    }
    set({ saving: "saved" });
    return true;
  };

  const failed = (error: unknown): false => {
    if (error instanceof OfflineError) set({ saving: "offline", problem: error.message });
    else if (error instanceof ApiError && error.status === 412) {
      
      const told = error.body as { version?: number; by?: string | null } | null;
      const version = told?.version ?? 0;
      set({ saving: "conflict", conflict: { words: error.message, version, by: told?.by ?? null } });
    } else if (error instanceof ApiError && error.status === 401) set({ saving: "offline", problem: error.message });
    else {
      queue.shift(); // what the server refuses it will refuse again; the reader is told
      set({ saving: "refused", problem: error instanceof Error ? error.message : String(error) });
    }
    return false;
  };

  const add = async (next: Waiting): Promise<boolean> => {
    queue.push(next);
    if (state().saving === "conflict") return false;
    running ??= drain().finally(() => {
      running = null;
    });
    const ended = await running;
    return queue.length > 0 && ended ? add2() : ended;
  };
  const add2 = async (): Promise<boolean> => {
    running ??= drain().finally(() => {
      running = null;
    });
    return running;
  };

  return {
    studyId: null,
    reading: null,
    saving: "saved",
    problem: "",
    conflict: null,
    active: null,
    load: async (studyId) => {
      queue = [];
      set({ studyId, reading: null, saving: "saved", problem: "", conflict: null, active: null });
      const reading = await get<Reading>(`/api/studies/${studyId}/reading`);
      if (state().studyId === studyId) set({ reading, active: reading.findings[0]?.number ?? null });
    },
    change: (changes) => add({ kind: "changes", changes }),
    saveMask: (planes) => add({ kind: "mask", planes }),
    takeTheirs: async () => {
      queue = [];
      const { studyId } = state();
      if (!studyId) return;
      const reading = await get<Reading>(`/api/studies/${studyId}/reading`);
      set({ reading, saving: "saved", conflict: null, problem: "" });
    },
    keepMine: async () => {
      // theirs stays in the study's versions; mine is laid on top of it, change by change
      const { studyId } = state();
      if (!studyId) return;
      const reading = await get<Reading>(`/api/studies/${studyId}/reading`);
      set({ reading, conflict: null, saving: "saving" });
      await add2();
    },
    retry: async () => {
      await add2();
    },
    select: (active) => set({ active }),
    put: (reading) => set({ reading }),
  };
});
