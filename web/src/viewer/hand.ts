// What the hand does in a plane, with the mouse or, at the crosshair, with the keyboard.
import { useReading } from "../store/reading";
import { bucket } from "./bucket";
import type { Point } from "./camera";
import { perpendicular } from "./draw";
import { clamped, distance, inside, rounded, toIndex, toWorld, type Frame, type PlaneName, type V3 } from "./geometry";
import type { Labels } from "./labels";
import type { Scene } from "./scene";
import { brushOf, useView, type Draft } from "./view";

export interface Layers {
  frame: Frame;
  hu: Int16Array;
  labels: Labels | null;
  original: Uint8Array | null;
  editable: boolean;
}

export interface Doing {
  onStroke: () => void;
  onPoint: (ijk: V3) => void;
  onBox: (from: V3, to: V3) => void;
  onMeasure: (draft: Draft) => void;
}

interface Where {
  name: PlaneName;
  scene: Scene;
  layers: Layers;
}

const PAINTS = new Set(["brush", "erase"]);
const DRAGS = new Set(["length", "roi", "box", "bidirectional"]);

export class Hand {
  private held: { what: string; at: Point; from: V3 } | null = null;

  constructor(
    private readonly where: Where,
    private readonly doing: Doing,
  ) {}

  private voxel(point: Point): V3 {
    const { name, scene, layers } = this.where;
    const ijk = toIndex(layers.frame, scene.toWorld(name, point));
    const { axis } = layers.frame.planes[name];
    ijk[axis] = useView.getState().focus[axis];
    return ijk;
  }

  /** The crosshair on the screen: where the keyboard's hand is. */
  private get cross(): Point {
    const { name, scene, layers } = this.where;
    return scene.toCanvas(name, toWorld(layers.frame, useView.getState().focus));
  }

  down(point: Point, what: string): void {
    const { name, scene, layers } = this.where;
    const { frame } = layers;
    const view = useView.getState();
    const voxel = this.voxel(point);
    const world = scene.toWorld(name, point);
    this.held = { what, at: point, from: voxel };
    if (view.plane !== name) view.set({ plane: name });
    if (what === "cross") view.set({ focus: clamped(frame.shape, rounded(voxel)) });
    else if (PAINTS.has(what) || what === "bucket") this.take(what, voxel);
    else if (what === "point") {
      if (inside(frame.shape, rounded(voxel))) this.doing.onPoint(rounded(voxel));
    } else if (what === "bidirectional") {
      const { draft } = view;
      const longDrawn = draft?.kind === "bidirectional" && draft.plane === name && draft.points.length === 2;
      view.set({ draft: longDrawn ? { ...draft, points: [...draft.points, world, world] } : { kind: what, plane: name, points: [world, world] } });
    } else if (DRAGS.has(what)) view.set({ draft: { kind: what as Draft["kind"], plane: name, points: [world, world] } });
  }

  /** Begin to paint, or fill. */
  private take(what: string, voxel: V3): void {
    const { name, layers } = this.where;
    const { labels, editable, frame } = layers;
    const view = useView.getState();
    const { active } = useReading.getState();
    if (!labels || !editable || active === null) {
      this.held = null;
      return view.set({ words: !editable ? "This reading cannot be edited." : "Choose a finding, or make a new one (N), before painting." });
    }
    const { axis } = frame.planes[name];
    labels.begin(what);
    if (what === "bucket") {
      this.held = null;
      const { filled, words } = bucket(labels, rounded(voxel), axis, active, view.range);
      labels.end();
      view.set({ words });
      if (filled > 0) this.doing.onStroke();
    } else labels.paint(voxel, axis, brushOf(view), what === "erase" ? 0 : active, active);
    view.redraw();
  }

  move(point: Point): void {
    const { held } = this;
    if (!held) return;
    const { name, scene, layers } = this.where;
    const view = useView.getState();
    if (held.what === "cross") view.set({ focus: clamped(layers.frame.shape, rounded(this.voxel(point))) });
    else if (held.what === "window") {
      const { level, width } = view.window;
      view.set({ window: { level: level + (point[1] - held.at[1]) * 1.5, width: Math.max(1, width + (point[0] - held.at[0]) * 2) } });
    } else if (held.what === "pan") {
      scene.pan(name, held.at, point);
      view.redraw();
    } else if (PAINTS.has(held.what)) this.paintTo(this.voxel(point));
    else if (view.draft) this.draftTo(scene.toWorld(name, point));
    held.at = point;
  }

  private paintTo(voxel: V3): void {
    const { held } = this;
    const { labels, frame } = this.where.layers;
    const view = useView.getState();
    const { active } = useReading.getState();
    if (!held || !labels || active === null) return;
    if (!labels.painting) labels.begin(held.what);
    labels.stroke(held.from, voxel, frame.planes[this.where.name].axis, brushOf(view), held.what === "erase" ? 0 : active, active);
    held.from = voxel;
    view.redraw();
  }

  private draftTo(here: V3): void {
    const view = useView.getState();
    const { draft } = view;
    if (!draft) return;
    const points = draft.points.slice();
    if (draft.kind === "roi") {
      if (distance(points[points.length - 1]!, here) > 1) points.push(here);
    } else if (draft.kind === "bidirectional" && points.length === 4) {
      const { normal } = this.where.layers.frame.planes[this.where.name];
      [points[2], points[3]] = perpendicular(points[0]!, points[1]!, points[2]!, here, normal);
    } else points[1] = here;
    view.set({ draft: { ...draft, points } });
  }

  up(): void {
    const { held } = this;
    this.held = null;
    if (!held) return;
    const { name, layers } = this.where;
    const view = useView.getState();
    if (PAINTS.has(held.what)) {
      const step = layers.labels?.end();
      view.set({ words: step || held.what === "erase" || !view.range ? "" : `Nothing here has ${view.range[0]} to ${view.range[1]} HU.` });
      view.redraw();
      this.doing.onStroke();
    }
    const { draft } = view;
    if (!draft || draft.plane !== name || held.what === "pan" || held.what === "window") return;
    const long = distance(draft.points[0]!, draft.points[1]!);
    if (draft.kind === "box") {
      view.set({ draft: null });
      if (long > 2) this.doing.onBox(toIndex(layers.frame, draft.points[0]!), toIndex(layers.frame, draft.points[1]!));
    } else if (draft.kind === "roi" ? draft.points.length < 3 : long < 1) view.set({ draft: null });
    else if (draft.kind !== "bidirectional" || draft.points.length === 4) {
      view.set({ draft: null, words: "" });
      this.doing.onMeasure(draft);
    } else view.set({ words: "Now draw the short axis across it." });
  }

  /** Space: what a press of the mouse at the crosshair would do; a drag is begun by the first and ended by the second. */
  press(): void {
    const { tool, draft, words } = useView.getState();
    if (tool === "cross") return;
    if (!DRAGS.has(tool)) {
      this.down(this.cross, tool);
      return this.up();
    }
    if (!this.held) {
      this.down(this.cross, tool);
      const how = tool === "roi" ? "Shift + arrows to the next point, Space for each; Enter closes it." : "Shift + arrows to the other end, then Space.";
      return useView.getState().set({ words: how });
    }
    this.move(this.cross);
    if (tool !== "roi" || !draft) return this.up();
    useView.getState().set({ words });
  }

  /** The crosshair has moved while a drag of the keyboard is open. */
  follow(): void {
    if (this.held && DRAGS.has(this.held.what) && this.held.what !== "roi") this.move(this.cross);
  }

  /** Enter: a region drawn with the keyboard is closed. Whether there was one. */
  close(): boolean {
    if (this.held?.what !== "roi") return false;
    this.up();
    return true;
  }

  /** Whether something is being dragged. */
  get holds(): boolean {
    return this.held !== null;
  }

  drop(): void {
    this.held = null;
  }
}

/** The hands of the planes that are on the screen, for the keyboard. */
export const hands = new Map<PlaneName, Hand>();
