// What the viewer shows and which tool is in hand.
import { create } from "zustand";
import type { Index, PlaneName, V3 } from "./geometry";
import type { Window } from "./scene";

export type Tool = "cross" | "brush" | "erase" | "length" | "bidirectional" | "roi" | "point" | "box";

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

interface View {
  focus: Index;
  window: Window;
  tool: Tool;
  radiusMm: number;
  sphere: boolean;
  range: [number, number] | null;
  slabMm: number;
  overlay: boolean;
  filled: boolean;
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

export function resetView(focus: Index): void {
  useView.setState({ ...START, focus });
}
