import { useCallback, useEffect, useRef, type PointerEvent, type ReactElement } from "react";
import type { Reading } from "../api/client";
import { useReading } from "../store/reading";
import { drawCross, drawFrame, drawMeasurement, perpendicular, text, type Point } from "./draw";
import { add, clamped, distance, inside, onward, rounded, toIndex, toWorld, turned, type Frame, type PlaneName, type V3 } from "./geometry";
import type { Labels } from "./labels";
import { MaskLayer } from "./mask";
import type { Scene } from "./scene";
import { useView, type Draft } from "./view";

export interface Layers {
  frame: Frame;
  hu: Int16Array;
  labels: Labels | null;
  original: Uint8Array | null;
  editable: boolean;
}

interface Props {
  name: PlaneName;
  scene: Scene;
  layers: Layers;
  onStroke: () => void;
  onPoint: (ijk: V3) => void;
  onBox: (from: V3, to: V3) => void;
  onMeasure: (draft: Draft) => void;
}

const NO_NUMBERS: ReadonlySet<number> = new Set();

/** One plane: the picture below, what lies over it above, and the hand. */
export function Pane(props: Props): ReactElement {
  const { name, scene, layers, onStroke, onPoint, onBox, onMeasure } = props;
  const { frame, labels } = layers;
  const plane = frame.planes[name];
  const gl = useRef<HTMLDivElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const masks = useRef<Masks>({ present: new MaskLayer(), original: new MaskLayer(), proposal: new MaskLayer() });
  const mouse = useRef<Point | null>(null);
  const hand = useRef<{ what: string; at: Point; from: V3 } | null>(null);

  const draw = useCallback(() => {
    const canvas = over.current;
    if (!canvas) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const dense = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(height * dense);
    }
    const ctx = canvas.getContext("2d");
    if (!ctx) return;
    ctx.setTransform(dense, 0, 0, dense, 0, 0);
    ctx.clearRect(0, 0, width, height);
    paintOver(ctx, { name, scene, layers, width, height, mouse: mouse.current, masks: masks.current });
  }, [name, scene, layers]);

  useEffect(() => {
    const element = gl.current;
    if (!element) return;
    let gone = false;
    void scene.mount(name, element).then(() => {
      if (gone) return;
      const { focus, window: lookup } = useView.getState();
      scene.show(name, focus);
      scene.window(lookup);
      useView.getState().redraw();
    });
    return () => {
      gone = true;
      scene.unmount(name);
    };
  }, [scene, name]);

  // however often something changes, it is drawn once a frame
  const due = useRef(0);
  const drawn = useRef(draw);
  const drawSoon = useCallback(() => {
    due.current ||= requestAnimationFrame(() => {
      due.current = 0;
      drawn.current();
    });
  }, []);
  useEffect(() => {
    drawn.current = draw;
    drawSoon();
  }, [draw, drawSoon]);

  useEffect(() => {
    const stops = [
      useView.subscribe((now, before) => {
        if (now.focus !== before.focus) scene.show(name, now.focus);
        drawSoon();
      }),
      useReading.subscribe(drawSoon),
    ];
    const watch = new ResizeObserver(() => {
      scene.resize();
      drawSoon();
    });
    if (gl.current) watch.observe(gl.current);
    return () => {
      stops.forEach((stop) => stop());
      watch.disconnect();
      cancelAnimationFrame(due.current);
      due.current = 0;
    };
  }, [drawSoon, scene, name]);

  const at = (event: { clientX: number; clientY: number }): Point => {
    const box = over.current?.getBoundingClientRect();
    return [event.clientX - (box?.left ?? 0), event.clientY - (box?.top ?? 0)];
  };
  const worldAt = (point: Point): V3 => scene.toWorld(name, point);
  const voxelAt = (point: Point): V3 => {
    const ijk = toIndex(frame, worldAt(point));
    ijk[plane.axis] = useView.getState().focus[plane.axis];
    return ijk;
  };

  const down = (event: PointerEvent<HTMLCanvasElement>): void => {
    const view = useView.getState();
    const [point, voxel] = [at(event), voxelAt(at(event))];
    event.currentTarget.setPointerCapture(event.pointerId);
    const what = event.button === 2 ? "window" : event.button === 1 || event.shiftKey ? "pan" : view.tool;
    hand.current = { what, at: point, from: voxel };
    if (what === "cross") view.set({ focus: clamped(frame.shape, rounded(voxel)) });
    if (what === "brush" || what === "erase") {
      const active = useReading.getState().active;
      if (!labels || !layers.editable || active === null) {
        hand.current = null;
        view.set({ words: active === null ? "Choose a finding, or make a new one (N), before painting." : "This reading cannot be edited." });
        return;
      }
      labels.begin(what);
      labels.paint(voxel, plane.axis, { radiusMm: view.radiusMm, sphere: view.sphere, range: view.range }, what === "erase" ? 0 : active, active);
      view.redraw();
    }
    if (what === "point" && inside(frame.shape, rounded(voxel))) onPoint(rounded(voxel));
    if (what === "length" || what === "roi" || what === "box") {
      view.set({ draft: { kind: what, plane: name, points: [worldAt(point), worldAt(point)] } });
    }
    if (what === "bidirectional") {
      const { draft } = view;
      const longDrawn = draft?.kind === "bidirectional" && draft.plane === name && draft.points.length === 2;
      if (longDrawn) view.set({ draft: { ...draft, points: [...draft.points, worldAt(point), worldAt(point)] } });
      else view.set({ draft: { kind: "bidirectional", plane: name, points: [worldAt(point), worldAt(point)] } });
    }
  };

  const move = (event: PointerEvent<HTMLCanvasElement>): void => {
    const view = useView.getState();
    const point = at(event);
    mouse.current = point;
    const held = hand.current;
    if (!held) return drawSoon();
    const voxel = voxelAt(point);
    if (held.what === "cross") view.set({ focus: clamped(frame.shape, rounded(voxel)) });
    else if (held.what === "window") {
      const change = { level: view.window.level + (point[1] - held.at[1]) * 1.5, width: Math.max(1, view.window.width + (point[0] - held.at[0]) * 2) };
      view.set({ window: change });
      held.at = point;
    } else if (held.what === "pan") {
      scene.pan(name, held.at, point);
      held.at = point;
      drawSoon();
    } else if (held.what === "brush" || held.what === "erase") {
      const active = useReading.getState().active;
      if (labels && active !== null) {
        if (!labels.painting) labels.begin(held.what);
        labels.stroke(held.from, voxel, plane.axis, { radiusMm: view.radiusMm, sphere: view.sphere, range: view.range }, held.what === "erase" ? 0 : active, active);
      }
      held.from = voxel;
      view.redraw();
    } else if (view.draft) {
      const { draft } = view;
      const points = draft.points.slice();
      const here = worldAt(point);
      if (draft.kind === "roi") {
        if (distance(points[points.length - 1]!, here) > 1) points.push(here);
      } else if (draft.kind === "bidirectional" && points.length === 4) {
        const [a, b] = [points[0]!, points[1]!];
        const [p, q] = perpendicular(a, b, points[2]!, here, plane.normal);
        points[2] = p;
        points[3] = q;
      } else points[1] = here;
      view.set({ draft: { ...draft, points } });
    }
  };

  const up = (): void => {
    const held = hand.current;
    hand.current = null;
    if (!held) return;
    const view = useView.getState();
    if (held.what === "brush" || held.what === "erase") {
      labels?.end();
      view.redraw();
      onStroke();
    }
    const { draft } = view;
    if (!draft || draft.plane !== name) return;
    const long = distance(draft.points[0]!, draft.points[1]!);
    if (draft.kind === "box") {
      view.set({ draft: null });
      if (long > 2) onBox(toIndex(frame, draft.points[0]!), toIndex(frame, draft.points[1]!));
    } else if (long < 1 && draft.kind !== "roi") view.set({ draft: null });
    else if (draft.kind !== "bidirectional" || draft.points.length === 4) {
      view.set({ draft: null });
      onMeasure(draft);
    } else view.set({ words: "Now draw the short axis across it." });
  };

  useEffect(() => {
    const canvas = over.current;
    if (!canvas) return;
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      if (event.deltaY === 0) return;
      if (event.ctrlKey) {
        const box = canvas.getBoundingClientRect();
        scene.zoom(name, event.deltaY < 0 ? 1.1 : 1 / 1.1, [event.clientX - box.left, event.clientY - box.top]);
        return useView.getState().redraw(); // a prior study beside it comes along
      }
      const view = useView.getState();
      const focus = view.focus.slice() as V3;
      focus[plane.axis] += Math.sign(event.deltaY) * onward(frame, name);
      view.set({ focus: clamped(frame.shape, focus) });
    };
    // React listens passively, and Ctrl + wheel would zoom the page as well
    canvas.addEventListener("wheel", wheel, { passive: false });
    return () => canvas.removeEventListener("wheel", wheel);
  }, [scene, name, frame, plane, drawSoon]);

  // two clicks of a brush are two strokes; only the hand that looks fits the picture anew
  const fitted = (): void => {
    if (useView.getState().tool !== "cross") return;
    scene.fit(name);
    scene.show(name, useView.getState().focus);
    drawSoon();
  };

  return (
    <div className="pane" data-testid={`pane-${name}`}>
      <div className="gl" ref={gl} />
      <canvas
        ref={over}
        data-testid={`over-${name}`}
        role="img"
        aria-label={`${name} plane`}
        onPointerDown={down}
        onPointerMove={move}
        onPointerUp={up}
        onPointerCancel={up}
        onPointerLeave={() => {
          mouse.current = null;
          drawSoon();
        }}
        onDoubleClick={fitted}
        onContextMenu={(event) => event.preventDefault()}
      />
    </div>
  );
}

type Masks = Record<"present" | "original" | "proposal", MaskLayer>;

interface Painting extends Pick<Props, "name" | "scene" | "layers"> {
  width: number;
  height: number;
  mouse: Point | null;
  masks: Masks;
}

function paintOver(ctx: CanvasRenderingContext2D, { name, scene, layers, width, height, mouse, masks }: Painting): void {
  const { frame, labels, original, hu } = layers;
  const view = useView.getState();
  const { reading, active } = useReading.getState();
  const plane = frame.planes[name];
  const here = toWorld(frame, view.focus);
  const toCanvas = (world: V3): Point => scene.toCanvas(name, world);
  const dimmed = new Set(reading?.findings.filter((one) => one.decision === "rejected").map((one) => one.number) ?? []);
  if (view.overlay && labels) masks.present.draw(ctx, frame, plane, view.focus, labels, toCanvas, { filled: view.filled, active, dimmed });
  const dashed = { active: null, dimmed: NO_NUMBERS, dashed: true };
  if (view.original && original) {
    masks.original.draw(ctx, frame, plane, view.focus, { voxels: original, version: 0 }, toCanvas, { ...dashed, filled: false });
  }
  if (view.proposal) {
    const { mask, start, shape } = view.proposal;
    masks.proposal.draw(ctx, frame, plane, view.focus, { voxels: mask, version: 0, box: { start, shape } }, toCanvas, { ...dashed, filled: true, active: 1 });
  }
  measurementsOf(reading, view.draft, name).forEach(({ kind, points, words }) =>
    drawMeasurement(ctx, plane, here, kind, points, words, toCanvas, frame.spacing[plane.axis] * 0.6 + view.slabMm / 2),
  );
  if (view.cross) drawCross(ctx, frame, plane, view.focus, width, height, toCanvas);
  drawFrame(ctx, plane, width, height, toCanvas, here);
  const n = view.focus[plane.axis] + 1;
  const ras = turned(here);
  text(ctx, `${name} ${n}/${frame.shape[plane.axis]}  ${ras[2 - (name === "axial" ? 0 : name === "coronal" ? 1 : 2)]!.toFixed(1)} mm`, 8, 16);
  text(ctx, `L ${Math.round(view.window.level)} W ${Math.round(view.window.width)}${view.slabMm ? `  MIP ${view.slabMm} mm` : ""}`, 8, height - 8);
  if (mouse) paintMouse(ctx, mouse);

  function paintMouse(at: CanvasRenderingContext2D, point: Point): void {
    const ijk = toIndex(frame, scene.toWorld(name, point));
    ijk[plane.axis] = view.focus[plane.axis];
    const voxel = rounded(ijk);
    if (!inside(frame.shape, voxel)) return;
    const value = hu[voxel[0] + frame.shape[0] * (voxel[1] + frame.shape[1] * voxel[2])];
    text(at, `${value} HU`, width - 8, 16, "right");
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

function measurementsOf(reading: Reading | null, draft: Draft | null, name: PlaneName): { kind: string; points: V3[]; words: string }[] {
  const kept = (reading?.measurements ?? []).map((one) => ({
    kind: one.kind as string,
    points: one.points_xyz.map((p) => turned(p as V3)),
    words: wordsOf(one.values),
  }));
  if (draft?.plane !== name) return kept;
  if (draft.kind === "box") return [...kept, { kind: "box", points: corners(draft), words: "" }];
  const words = draft.kind === "roi" ? "" : `${distance(draft.points[0]!, draft.points[1]!).toFixed(1)} mm`;
  return [...kept, { kind: draft.kind, points: draft.points, words }];
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

export function wordsOf(values: Record<string, number>): string {
  const mm = (v: number | undefined): string => (v === undefined ? "" : v.toFixed(1));
  if (values.length_mm !== undefined) return `${mm(values.length_mm)} mm`;
  if (values.long_mm !== undefined) return `${mm(values.long_mm)} × ${mm(values.short_mm)} mm`;
  if (values.area_mm2 !== undefined) return `${(values.area_mm2 / 100).toFixed(2)} cm², ${values.mean_hu?.toFixed(0)} ± ${values.sd_hu?.toFixed(0)} HU`;
  return "";
}
