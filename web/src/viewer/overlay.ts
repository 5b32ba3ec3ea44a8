// All that lies over one plane: masks, measurements, crosshair, letters, and the mouse.
import type { Reading } from "../api/client";
import { valuesWords } from "../report/words";
import { useReading } from "../store/reading";
import type { Point } from "./camera";
import { drawCross, drawFrame, drawMeasurement, text } from "./draw";
import { add, distance, inside, rounded, toIndex, toWorld, turned, type PlaneName, type V3 } from "./geometry";
import type { Layers } from "./hand";
import type { MaskLayer } from "./mask";
import type { Scene } from "./scene";
import { NOT_YET } from "./scene_flat";
import { useView, type Draft } from "./view";

const NO_NUMBERS: ReadonlySet<number> = new Set();

export type Masks = Record<"present" | "original" | "proposal", MaskLayer>;

export interface Painting {
  name: PlaneName;
  scene: Scene;
  layers: Layers;
  width: number;
  height: number;
  mouse: Point | null;
  masks: Masks;
}

export function paintOver(ctx: CanvasRenderingContext2D, { name, scene, layers, width, height, mouse, masks }: Painting): void {
  const { frame, labels, original, hu } = layers;
  const view = useView.getState();
  const { reading, active } = useReading.getState();
  const plane = frame.planes[name];
  const here = toWorld(frame, view.focus);
  const toCanvas = (world: V3): Point => scene.toCanvas(name, world);
  const dimmed = new Set(reading?.findings.filter((one) => one.decision === "rejected").map((one) => one.number) ?? []);
  if (view.overlay && labels) masks.present.draw(ctx, frame, plane, view.focus, labels, toCanvas, { filled: view.filled, opacity: view.opacity, active, dimmed });
  const dashed = { active: null, dimmed: NO_NUMBERS, dashed: true };
  if (view.original && original) {
    masks.original.draw(ctx, frame, plane, view.focus, { voxels: original, version: 0 }, toCanvas, { ...dashed, filled: false });
  }
  if (view.proposal) {
    const { mask, start, shape } = view.proposal;
    masks.proposal.draw(ctx, frame, plane, view.focus, { voxels: mask, version: 0, box: { start, shape } }, toCanvas, { ...dashed, filled: true, active: 1 });
  }
  measurementsOf(reading, view.draft, name).forEach(({ id, kind, points, words }) =>
    drawMeasurement(ctx, plane, here, { kind, points, words, chosen: id === view.measurement }, toCanvas, frame.spacing[plane.axis] * 0.6 + view.slabMm / 2),
  );
  if (view.cross) drawCross(ctx, frame, view.focus, width, height, toCanvas);
  drawFrame(ctx, plane, width, height, toCanvas, here);
  text(ctx, sliceWords(layers, name), 8, 16);
  text(ctx, `L ${Math.round(view.window.level)} W ${Math.round(view.window.width)}${view.slabMm ? `  MIP ${view.slabMm} mm` : ""}`, 8, height - 8);
  if (mouse) paintMouse(ctx, mouse);
  else if (view.cross && view.plane === name && view.tool !== "cross") paintMouse(ctx, toCanvas(here)); // the keyboard's hand

  function paintMouse(at: CanvasRenderingContext2D, point: Point): void {
    const ijk = toIndex(frame, scene.toWorld(name, point));
    ijk[plane.axis] = view.focus[plane.axis];
    const voxel = rounded(ijk);
    if (!inside(frame.shape, voxel)) return;
    const value = hu[voxel[0] + frame.shape[0] * (voxel[1] + frame.shape[1] * voxel[2])];
    if (value !== NOT_YET) text(at, `${value} HU`, width - 8, 16, "right");
    if (view.tool !== "brush" && view.tool !== "erase") return;
    const world = toWorld(frame, ijk);
    const edge = toCanvas(add(world, plane.right, view.radiusMm));
    const centre = toCanvas(world);
    at.strokeStyle = view.tool === "brush" ? "#fff" : "#f08a80";
    at.lineWidth = 1;
    at.beginPath();
    at.arc(point[0], point[1], Math.hypot(edge[0] - centre[0], edge[1] - centre[1]), 0, 2 * Math.PI);
    at.stroke();
  }
}

/** Which slice is shown, and where it is in the patient (RAS+). */
export function sliceWords({ frame }: Layers, name: PlaneName): string {
  const { focus } = useView.getState();
  const { axis } = frame.planes[name];
  const along = turned(toWorld(frame, focus))[name === "axial" ? 2 : name === "coronal" ? 1 : 0];
  return `${name} ${focus[axis] + 1}/${frame.shape[axis]}  ${along.toFixed(1)} mm`;
}

function measurementsOf(reading: Reading | null, draft: Draft | null, name: PlaneName): { id: string; kind: string; points: V3[]; words: string }[] {
  const kept = (reading?.measurements ?? []).map((one) => ({
    id: one.id,
    kind: one.kind as string,
    points: one.points_xyz.map((p) => turned(p as V3)),
    words: valuesWords(one.values),
  }));
  if (draft?.plane !== name) return kept;
  if (draft.kind === "box") return [...kept, { id: "", kind: "box", points: corners(draft), words: "" }];
  const words = draft.kind === "roi" ? "" : `${distance(draft.points[0]!, draft.points[1]!).toFixed(1)} mm`;
  return [...kept, { id: "", kind: draft.kind, points: draft.points, words }];
}

function corners(draft: Draft): V3[] {
  const [a, b] = [draft.points[0]!, draft.points[1]!];
  // in a plane of the grid two of the three coordinates differ; the box is drawn along them
  const axes = [0, 1, 2].sort((x, y) => Math.abs(b[y]! - a[y]!) - Math.abs(b[x]! - a[x]!)).slice(0, 2);
  const [p, q] = [a.slice() as V3, b.slice() as V3];
  p[axes[0]!] = b[axes[0]!]!;
  q[axes[0]!] = a[axes[0]!]!;
  return [a, p, b, q];
}
