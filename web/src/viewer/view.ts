// What the viewer shows and which tool is in hand.
import { create } from "zustand";
import type { Index, PlaneName, V3 } from "./geometry";
import type { Brush } from "./labels";
import type { Window } from "./scene";

export type Tool = "cross" | "brush" | "erase" | "bucket" | "length" | "bidirectional" | "roi" | "point" | "box";

export const WINDOWS: Record<string, Window & { words: string }> = {
  "1": { words: "Soft tissue", level: 40, width: 400 },
  "2": { words: "Lung", level: -600, width: 1500 },
  "3": { words: "Liver", level: 80, width: 160 },
  "4": { words: "Bone", level: 450, width: 1800 },
  "5": { words: "Brain", level: 40, width: 80 },
};

export interface Proposal {
  start: Index;
  shape: Index;
  mask: Uint8Array;
  type: string;
  probability: number;
}

export interface Draft {
  kind: "length" | "bidirectional" | "roi" | "box";
  plane: PlaneName;
  points: V3[];
}

export interface View {
  focus: Index;
  /** The plane that the keyboard's hand is in. */
  plane: PlaneName;
  window: Window;
  tool: Tool;
  radiusMm: number;
  sphere: boolean;
  range: [number, number] | null;
  slabMm: number;
  overlay: boolean;
  filled: boolean;
  /** Of the masks' fill, 0 to 1. */
  opacity: number;
  /** The measurement that Delete removes. */
  measurement: string | null;
  original: boolean;
  cross: boolean;
  draft: Draft | null;
  proposal: Proposal | null;
  asking: boolean;
  words: string;
  /** Moves whenever something is to be drawn again that no other field tells of. */
  drawn: number;
  set: (change: Partial<View>) => void;
  redraw: () => void;
}

const START = {
  window: WINDOWS["1"]!,
  tool: "cross" as Tool,
  radiusMm: 5,
  sphere: false,
  range: null,
  slabMm: 0,
  overlay: true,
  filled: true,
  opacity: 0.25,
  measurement: null,
  plane: "axial" as PlaneName,
  original: false,
  cross: true,
  draft: null,
  proposal: null,
  asking: false,
  words: "",
};

export const useView = create<View>((set) => ({
  ...START,
  focus: [0, 0, 0],
  drawn: 0,
  set: (change) => set(change),
  redraw: () => set((s) => ({ drawn: s.drawn + 1 })),
}));

export const brushOf = (view: View): Brush => ({ radiusMm: view.radiusMm, sphere: view.sphere, range: view.range });

/** How a reader likes to see and paint stays from study to study; the window, the place and what is open do not. */
export function resetView(focus: Index): void {
  const { opacity, radiusMm, sphere, filled, cross } = useView.getState();
  useView.setState({ ...START, opacity, radiusMm, sphere, filled, cross, focus });
}
