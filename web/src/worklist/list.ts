// The worklist as the page holds it: pages fetched as they are scrolled to, rows brought up to date in place.
import { create } from "zustand";
import { ApiError, request, type Schemas, type StudyRow } from "../api/client";
import { wordsOf } from "../api/loaded";

export type Sort = "suspicion" | "time" | "patient" | "changed";
export type State = StudyRow["state"];
export const STATES: readonly State[] = ["arriving", "queued", "running", "ready", "draft", "signed", "failed"];
/** What is still to be done. */
export const UNSIGNED: readonly State[] = STATES.filter((state) => state !== "signed");
export const PAGE = 200;

export interface Query {
  sort: Sort;
  desc: boolean;
  states: readonly State[];
  flagged: boolean;
  q: string;
}

export const FIRST: Query = { sort: "suspicion", desc: true, states: [], flagged: false, q: "" };

/** The same column again turns the order round; names begin with A, all else with the most. */
export function sorted(query: Query, by: Sort): Query {
  return { ...query, sort: by, desc: query.sort === by ? !query.desc : by !== "patient" };
}

export function pathOf(query: Query, page: number): string {
  const asked = new URLSearchParams({ sort: query.sort, desc: String(query.desc), limit: String(PAGE), offset: String(page * PAGE) });
  query.states.forEach((state) => asked.append("state", state));
  if (query.flagged) asked.set("flagged", "true");
  // names are kept as Family^Given, and typed as they are shown: Family, Given
  const words = query.q.replace(/[,^]/g, " ").trim().slice(0, 200);
  if (words) asked.set("q", words);
  return `/api/studies?${asked}`;
}

type Pages = Readonly<Record<number, readonly StudyRow[]>>;

export interface Shown {
  pages: Pages;
  counts: Readonly<Record<string, number>>;
  fresh: ReadonlySet<string>;
  /** The server's clock when the list was fetched, in ms. */
  listedAt: number;
}

/** A changed study: its row is replaced where it stands, counts follow; one that came since then is only counted. */
export function told(shown: Shown, row: StudyRow): Partial<Shown> {
  for (const [page, rows] of Object.entries(shown.pages)) {
    const at = rows.findIndex((one) => one.id === row.id);
    const was = rows[at];
    if (!was) continue;
    const pages = { ...shown.pages, [page]: rows.with(at, row) };
    if (was.state === row.state) return { pages };
    const counts = { ...shown.counts };
    counts[was.state] = Math.max(0, (counts[was.state] ?? 0) - 1);
    counts[row.state] = (counts[row.state] ?? 0) + 1;
    return { pages, counts };
  }
  // older ones are on a page that was not scrolled to, or not what is searched for
  if (Date.parse(row.received_at) < shown.listedAt || shown.fresh.has(row.id)) return {};
  return { fresh: new Set([...shown.fresh, row.id]) };
}

interface List extends Shown {
  owner: string;
  query: Query;
  total: number | null;
  /** How many have findings, of what search and states leave. */
  flagged: number;
  index: number;
  busy: boolean;
  problem: string;
  status: number;
  stale: boolean;
  /** Whether the server tells of changes at present. */
  live: boolean;
  enter: (owner: string) => void;
  leave: () => void;
  ask: (query: Query) => void;
  refresh: () => void;
  want: (page: number) => void;
  choose: (index: number) => void;
  tell: (row: StudyRow) => void;
  doubt: () => void;
  hear: (live: boolean) => void;
}

const NOTHING = { pages: {}, counts: {}, fresh: new Set<string>(), listedAt: 0, total: null, flagged: 0, busy: false, problem: "", status: 0, stale: false };
let turn = 0;
let left = ""; // the study that was chosen when the page was left
const asked = new Set<number>();

export const rowAt = (pages: Pages, index: number): StudyRow | undefined => pages[Math.floor(index / PAGE)]?.[index % PAGE];

export const useList = create<List>((set, state) => {
  const page = async (query: Query, number: number): Promise<{ list: Schemas["WorklistOut"]; at: number }> => {
    const answer = await request("GET", pathOf(query, number));
    const date = Date.parse(answer.headers.get("Date") ?? "");
    return { list: (await answer.json()) as Schemas["WorklistOut"], at: Number.isNaN(date) ? Date.now() : date };
  };
  const failed = (mine: number, error: unknown): void => {
    if (mine === turn) set({ busy: false, problem: wordsOf(error), status: error instanceof ApiError ? error.status : 0 });
  };
  const load = async (query: Query, index: number, keep = ""): Promise<void> => {
    const mine = ++turn;
    const number = Math.floor(index / PAGE);
    asked.clear();
    asked.add(0).add(number);
    set({ query, busy: true, problem: "", status: 0 });
    try {
      const [first, there] = await Promise.all([page(query, 0), number ? page(query, number) : null]);
      if (mine !== turn) return;
      const pages = { 0: first.list.items, ...(there ? { [number]: there.list.items } : {}) };
      const total = first.list.total;
      const again = Object.entries(pages).flatMap(([n, rows]) => rows.map((row, i) => (row.id === keep ? Number(n) * PAGE + i : -1))).find((i) => i >= 0);
      set({ ...NOTHING, fresh: new Set(), pages, total, counts: first.list.counts, flagged: first.list.flagged, listedAt: first.at, index: again ?? Math.max(0, Math.min(total - 1, index)) });
    } catch (error) {
      failed(mine, error);
    }
  };
  const chosen = (): string => rowAt(state().pages, state().index)?.id ?? "";
  return {
    ...NOTHING,
    owner: "",
    query: FIRST,
    index: 0,
    live: true,
    enter: (owner) => {
      if (state().owner !== owner) set({ ...NOTHING, owner, query: FIRST, index: 0 });
      void load(state().query, state().index, left);
    },
    // rows are patients' names: they go with the page, the question and the place stay
    leave: () => {
      turn += 1;
      left = chosen();
      set({ ...NOTHING });
    },
    ask: (query) => void load(query, 0),
    refresh: () => void load(state().query, state().index, chosen()),
    want: (number) => {
      const { query, total, pages } = state();
      if (total === null || number * PAGE >= total || pages[number] || asked.has(number)) return;
      asked.add(number);
      const mine = turn;
      page(query, number)
        .then(({ list }) => {
          if (mine !== turn) return;
          set((now) => ({ pages: { ...now.pages, [number]: list.items }, stale: now.stale || list.total !== now.total }));
        })
        .catch((error: unknown) => failed(mine, error));
    },
    choose: (index) => set({ index }),
    tell: (row) => set((now) => told(now, row)),
    doubt: () => set({ stale: true }),
    hear: (live) => set({ live }),
  };
});
