// Between the mask in the hand and the mask on the server: saved a little after each stroke, reloaded when another won.
import { ApiError, call, type Change, type Schemas } from "../api/client";
import { typeWords } from "../store/choices";
import { useReading } from "../store/reading";
import { rounded, type Index, type V3 } from "./geometry";
import type { Labels } from "./labels";
import { expand } from "./shapes";
import { useView, type Proposal } from "./view";

const SAVE_AFTER_MS = 700;
let timer: number | undefined;

/** Save what was painted, a moment after the last stroke. */
export function saveSoon(labels: Labels): void {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => void saveNow(labels), SAVE_AFTER_MS);
}

export async function saveNow(labels: Labels): Promise<void> {
  window.clearTimeout(timer);
  timer = undefined;
  const planes = labels.takeDirty();
  if (!planes) return;
  const kept = await useReading.getState().saveMask(planes);
  // what the server would not take goes along with the next stroke, or is asked about on leaving
  if (!kept && !["offline", "conflict"].includes(useReading.getState().saving)) labels.giveBack(planes);
}

/** Strokes that another's mask is about to replace are not sent any more. */
export function forgetStrokes(labels: Labels | null): void {
  window.clearTimeout(timer);
  timer = undefined;
  labels?.takeDirty();
}

/** Whether something of the mask is not on the server yet. */
export function unsaved(labels: Labels | null): boolean {
  return labels?.dirty != null || useReading.getState().saving !== "saved";
}

export function freeNumber(): number | null {
  const used = new Set(useReading.getState().reading?.findings.map((one) => one.number));
  for (let n = 1; n <= 255; n++) if (!used.has(n)) return n;
  return null;
}

/** A finding of the reader's own; its label becomes the active one. */
export async function addFinding(type: string, origin: "reader" | "proposal"): Promise<number | null> {
  const number = freeNumber();
  if (number === null) return null;
  const add = { op: "add", number, type, origin } as Change;
  if (!(await useReading.getState().change([add]))) return null;
  useReading.getState().select(number);
  return number;
}

/** Ask the network for the lesion at a point or in a box. */
export async function propose(studyId: string, asked: { point_ijk?: Index; box_ijk?: [Index, Index] }): Promise<void> {
  const view = useView.getState();
  view.set({ asking: true, proposal: null, words: "Asking the network…" });
  try {
    const told = await call<Schemas["ProposalOut"]>("POST", `/api/studies/${studyId}/propose`, { json: asked });
    const shape = told.shape as Index;
    const proposal: Proposal = {
      start: told.start_ijk as Index,
      shape,
      mask: expand(told.runs, shape[0] * shape[1] * shape[2]),
      type: told.type,
      probability: told.probability,
    };
    const words = `${typeWords(told.type)}, ${(100 * told.probability).toFixed(0)} %: Enter takes it, Esc leaves it`;
    view.set({ asking: false, proposal, words });
  } catch (error) {
    view.set({ asking: false, words: error instanceof ApiError || error instanceof Error ? error.message : String(error) });
  }
}

/** Take the proposal as a finding, or into the active one while that is empty and the reader's own. */
export async function takeProposal(labels: Labels): Promise<void> {
  const { proposal, set, redraw } = useView.getState();
  if (!proposal) return;
  set({ proposal: null, words: "" }); // a second Enter must not take it twice
  if (labels.free(proposal.start, proposal.shape, proposal.mask) === 0) {
    return set({ words: "All that it marks belongs to other findings already." });
  }
  const { active, reading } = useReading.getState();
  const mine = reading?.findings.find((one) => one.number === active);
  const empty = mine && mine.origin !== "ai" && (labels.counts.get(mine.number) ?? 0) === 0;
  const number = empty ? mine.number : await addFinding(proposal.type, "proposal");
  if (number === null) return set({ proposal, words: "The finding could not be added; Enter tries again." });
  labels.lay(proposal.start, proposal.shape, proposal.mask, number);
  redraw();
  saveSoon(labels);
}

/** The finding that lies under most of a measurement: `points` are voxels, those between them count as well; the one in hand goes before others. */
export function findingUnder(labels: Labels, points: V3[], active: number | null): number | null {
  const seen = new Map<number, number>();
  points.forEach((from, n) => {
    const to = points[(n + 1) % points.length]!;
    for (let t = 0; t < 1; t += 0.1) {
      const label = labels.at(rounded([0, 1, 2].map((a) => from[a]! + t * (to[a]! - from[a]!)) as V3));
      if (label !== 0) seen.set(label, (seen.get(label) ?? 0) + 1);
    }
  });
  if (active !== null && seen.has(active)) return active;
  return [...seen].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

/** A box around two corners, at least some millimetres deep: half open, in voxels. */
export function boxAround(from: V3, to: V3, axis: 0 | 1 | 2, spacing: V3, shape: Index): [Index, Index] {
  const low = [0, 1, 2].map((a) => Math.floor(Math.min(from[a]!, to[a]!))) as Index;
  const high = [0, 1, 2].map((a) => Math.ceil(Math.max(from[a]!, to[a]!)) + 1) as Index;
  const widths = [0, 1, 2].filter((a) => a !== axis).map((a) => (high[a]! - low[a]!) * spacing[a]!);
  const half = Math.max(1, Math.round(Math.min(...widths) / 2 / spacing[axis]));
  low[axis] -= half;
  high[axis] += half;
  return [
    low.map((n, a) => Math.min(Math.max(n, 0), shape[a]! - 1)) as Index,
    high.map((n, a) => Math.min(Math.max(n, 1), shape[a]!)) as Index,
  ];
}
