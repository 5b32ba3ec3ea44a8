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
  /** 1 where the hand changed a voxel; the others are as they were loaded. */
  mine: Uint8Array;
}

/** What the hand changed, laid over a whole mask; mask and planes hold the same afterwards. */
export function layOver(mask: Uint8Array, { first, voxels, mine, last }: Planes): void {
  const start = (first * voxels.length) / (last - first + 1);
  for (let at = 0; at < voxels.length; at++) {
    if (mine[at]) mask[start + at] = voxels[at]!;
    else voxels[at] = mask[start + at]!;
  }
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

type Waiting = ({ kind: "changes"; changes: Change[] } | { kind: "mask"; planes: Planes }) & { settle: (kept: boolean) => void };

/** A study that was opened, and what is on its way to the server; it is sent to the end even if another one is opened meanwhile. */
interface Open {
  studyId: string;
  /** Of the reading when the study was left. */
  version: number;
  queue: Waiting[];
  running: Promise<void> | null;
}

async function gzip(bytes: Uint8Array): Promise<Blob> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).blob();
}

/** Whether the server said no for good: not away, not out of a session, not at another version. */
const isRefusal = (error: unknown): boolean => !(error instanceof OfflineError || (error instanceof ApiError && (error.status === 412 || error.status === 401)));

export const useReading = create<State>((set, state) => {
  // One request at a time, in the order of the reader's hand: each is made on the version the one before gave.
  let open: Open = { studyId: "", version: 0, queue: [], running: null };

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

  const drain = async (own: Open): Promise<void> => {
    let refused = "";
    try {
      for (let next = own.queue[0]; next; next = own.queue[0]) {
        const here = own === open;
        if (here) set({ saving: "saving", problem: "" });
        try {
          const version = here ? (state().reading?.version ?? own.version) : own.version;
          const fresh = await send(own.studyId, version, next);
          own.version = fresh.version;
          own.queue.shift();
          if (own === open) set({ reading: fresh });
          next.settle(true);
        } catch (error) {
          if (!isRefusal(error)) return stopped(own, error);
          own.queue.shift(); // what the server refuses it will refuse again; the reader is told
          refused = error instanceof Error ? error.message : String(error);
          if (own === open) set({ saving: "refused", problem: refused });
          next.settle(false);
        }
      }
    } finally {
      own.running = null;
    }
    if (own === open) set(refused ? { saving: "refused", problem: refused } : { saving: "saved" });
    else if (refused) set({ problem: `Of the study before, this was not saved: ${refused}` });
  };

  /** The server is away or has another version: what waits stays, and the reader decides. */
  const stopped = (own: Open, error: unknown): void => {
    const words = error instanceof Error ? error.message : String(error);
    if (own !== open) set({ problem: `Of the study before, the last change was not saved: ${words}` });
    else if (error instanceof ApiError && error.status === 412) {
      const told = error.body as { version?: number; by?: string | null } | null;
      set({ saving: "conflict", conflict: { words, version: told?.version ?? 0, by: told?.by ?? null } });
    } else set({ saving: "offline", problem: words });
    own.queue.forEach((one) => one.settle(false));
  };

  const drained = (own: Open): Promise<void> => (own.running ??= drain(own));

  const add = (told: { kind: "changes"; changes: Change[] } | { kind: "mask"; planes: Planes }): Promise<boolean> =>
    new Promise((settle) => {
      open.queue.push({ ...told, settle });
      if (state().saving === "conflict") settle(false); // it waits for what the reader decides
      else void drained(open);
    });

  return {
    studyId: null,
    reading: null,
    saving: "saved",
    problem: "",
    conflict: null,
    active: null,
    load: async (studyId) => {
      open.version = state().reading?.version ?? open.version;
      const own: Open = { studyId, version: 0, queue: [], running: null };
      open = own;
      set({ studyId, reading: null, saving: "saved", problem: "", conflict: null, active: null });
      const reading = await get<Reading>(`/api/studies/${studyId}/reading`);
      if (own === open) set({ reading, active: reading.findings[0]?.number ?? null });
    },
    change: (changes) => add({ kind: "changes", changes }),
    saveMask: (planes) => add({ kind: "mask", planes }),
    takeTheirs: async () => {
      const own = open;
      const reading = await get<Reading>(`/api/studies/${own.studyId}/reading`);
      own.queue.length = 0;
      if (own === open) set({ reading, saving: "saved", conflict: null, problem: "" });
    },
    keepMine: async () => {
      // mine is laid over theirs, change by change and voxel by voxel; whoever is faster between the two requests is met as a conflict again
      const own = open;
      const reading = await get<Reading>(`/api/studies/${own.studyId}/reading`);
      if (own.queue.some((one) => one.kind === "mask")) {
        const theirs = new Uint8Array(await (await request("GET", `/api/studies/${own.studyId}/mask`)).arrayBuffer());
        for (const one of own.queue) if (one.kind === "mask") layOver(theirs, one.planes);
      }
      if (own !== open) return;
      set({ reading, conflict: null, saving: "saving" });
      await drained(own);
    },
    retry: async () => {
      if (state().saving !== "conflict") await drained(open);
    },
    select: (active) => set({ active }),
    put: (reading) => set({ reading }),
  };
});
