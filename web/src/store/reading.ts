// The reading that is open: its document and version, changes on their way to the server, and what happens when two collide.
import { create } from "zustand";
import { ApiError, call, get, OfflineError, request, type Change, type Reading } from "../api/client";
import { useSession } from "./session";

export type Saving = "saved" | "saving" | "offline" | "conflict" | "refused";

export interface Conflict {
  words: string;
  version: number;
  by: string | null;
  at: string | null;
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
  /** The server answers, and fails: what it fails on may have to be left out. */
  failing: boolean;
  conflict: Conflict | null;
  active: number | null;
  /** Counts up when another's version takes the place of what was being written here. */
  replaced: number;
  load: (studyId: string) => Promise<void>;
  change: (changes: Change[]) => Promise<boolean>;
  saveMask: (planes: Planes) => Promise<boolean>;
  takeTheirs: () => Promise<void>;
  keepMine: () => Promise<void>;
  retry: () => Promise<void>;
  /** Give up the first of what waits: the server fails on it again and again, and all that came later waits behind it. */
  leaveOut: () => Promise<void>;
  /** Send what is still held back in the page and wait for it; whether everything is on the server. */
  settled: () => Promise<boolean>;
  select: (number: number | null) => void;
  put: (reading: Reading) => void;
}

type Waiting = ({ kind: "changes"; changes: Change[] } | { kind: "mask"; planes: Planes }) & { settle: (kept: boolean) => void };

/**
 * A study that was opened, and what is on its way to the server: sent to the end even if another one is opened meanwhile, and kept for
 * this reader's return where it could not be.
 */
interface Open {
  studyId: string;
  /** The reading's version that the next change is made on. */
  version: number;
  queue: Waiting[];
  running: Promise<void> | null;
}

async function gzip(bytes: Uint8Array): Promise<Blob> {
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).blob();
}

const SESSION_OVER = 401;
const OTHER_VERSION = 412;
const LATER = new Set([408, 425, 429]);
const FAILED = 500;

/** Whether the server said no for good: it is not away, busy or out of space, the session is not over, the version not another. */
function isRefusal(error: unknown): boolean {
  if (error instanceof OfflineError) return false;
  if (!(error instanceof ApiError)) return true;
  return error.status < FAILED && error.status !== SESSION_OVER && error.status !== OTHER_VERSION && !LATER.has(error.status);
}

const held = new Set<() => unknown>();

/** Whoever holds changes back for a moment says here how to send them at once; answers how to stop. */
export function holdsBack(flush: () => unknown): () => void {
  held.add(flush);
  return () => held.delete(flush);
}

function othersVersion(body: unknown): Omit<Conflict, "words"> {
  const told = (body ?? {}) as { detail?: unknown; version?: number; by?: string | null; at?: string };
  const inner = (typeof told.detail === "object" && told.detail ? told.detail : told) as typeof told;
  return { version: inner.version ?? 0, by: inner.by ?? null, at: inner.at ?? null };
}

export const useReading = create<State>((set, state) => {
  // One request at a time, in the order of the reader's hand: each is made on the version the one before gave.
  let open: Open = { studyId: "", version: 0, queue: [], running: null };
  // by account and study: after a session that ran out another person may log in here, and must not send the first one's changes
  const opened = new Map<string, Open>();

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
        if (own === open) set({ saving: "saving", problem: "" });
        try {
          const fresh = await send(own.studyId, own.version, next);
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
    if (own !== open) set({ problem: `Of the study before, the last change was not saved; it is sent when you open that study again. ${words}` });
    else if (error instanceof ApiError && error.status === OTHER_VERSION) {
      set({ saving: "conflict", conflict: { words, ...othersVersion(error.body) } });
    } else set({ saving: "offline", problem: words, failing: error instanceof ApiError && error.status !== SESSION_OVER });
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
    failing: false,
    conflict: null,
    active: null,
    replaced: 0,
    load: async (studyId) => {
      const key = `${useSession.getState().user?.id ?? ""} ${studyId}`;
      const own = opened.get(key) ?? { studyId, version: 0, queue: [], running: null };
      opened.set(key, own);
      open = own;
      set({ studyId, reading: null, saving: "saved", problem: "", conflict: null, active: null });
      await own.running;
      const reading = await get<Reading>(`/api/studies/${studyId}/reading`);
      if (own !== open) return;
      set({ reading, active: reading.findings[0]?.number ?? null });
      // what waited here was made on the version of then: whoever was faster meanwhile is met as a conflict
      if (own.queue.length === 0) own.version = reading.version;
      else await drained(own);
    },
    change: (changes) => add({ kind: "changes", changes }),
    saveMask: (planes) => add({ kind: "mask", planes }),
    takeTheirs: async () => {
      const own = open;
      const reading = await get<Reading>(`/api/studies/${own.studyId}/reading`);
      own.queue.length = 0;
      own.version = reading.version;
      if (own === open) set({ reading, saving: "saved", conflict: null, problem: "", replaced: state().replaced + 1 });
    },
    keepMine: async () => {
      // mine is laid over theirs, change by change and voxel by voxel; whoever is faster between the two requests is met as a conflict again
      const own = open;
      const reading = await get<Reading>(`/api/studies/${own.studyId}/reading`);
      if (own.queue.some((one) => one.kind === "mask")) {
        const theirs = new Uint8Array(await (await request("GET", `/api/studies/${own.studyId}/mask`)).arrayBuffer());
        for (const one of own.queue) if (one.kind === "mask") layOver(theirs, one.planes);
      }
      own.version = reading.version;
      if (own !== open) return;
      set({ reading, conflict: null, saving: "saving" });
      await drained(own);
    },
    retry: async () => {
      if (state().saving !== "conflict") await drained(open);
    },
    leaveOut: async () => {
      if (state().saving !== "offline") return;
      open.queue.shift();
      await drained(open);
    },
    settled: async () => {
      const told = state().saving === "refused"; // the reader knows of that one already
      await Promise.all([...held].map((flush) => flush()));
      await open.running;
      return open.queue.length === 0 && (told || state().saving !== "refused");
    },
    select: (active) => set({ active }),
    put: (reading) => {
      if (reading.study_id !== open.studyId || reading.version < (state().reading?.version ?? 0)) return;
      if (open.queue.length === 0) open.version = reading.version; // what waits was made on the version before
      set({ reading });
    },
  };
});
