import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactElement } from "react";
import type { Finding } from "../api/client";
import { useReading } from "../store/reading";
import { edges } from "./camera";
import { text } from "./draw";
import type { Layers } from "./hand";
import { coarseLabels, fineVoxel, project, sides, solidOf, type Projected, type Turn } from "./projection";
import { useView } from "./view";

interface Props {
  layers: Layers;
  complete: boolean;
  onJump: (finding: Finding) => void;
}

const TURN_DEG = 15;
const FINE_PIXELS = 110_000;
const QUICK_PIXELS = 28_000;
const SETTLED_MS = 250;
const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** All of it from any side, with the findings; turned by hand or arrow keys, never by itself. A click on a finding goes there. */
export default function Volume3d({ layers, complete, onJump }: Props): ReactElement {
  const { frame, hu, labels } = layers;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [turn, setTurn] = useState<Turn>({ around: 0, above: 0 });
  const [quick, setQuick] = useState(false);
  const held = useRef<{ at: [number, number]; moved: boolean } | null>(null);
  const seen = useRef<Projected | null>(null);
  const findings = useReading((s) => s.reading?.findings);
  const painted = useSettled(useView(() => labels?.version ?? 0));

  const solid = useMemo(() => (complete ? solidOf(frame, hu) : null), [complete, frame, hu]);
  const rejected = (findings ?? []).filter((one) => one.decision === "rejected").map((one) => one.number).join(" ");
  const marked = useMemo(() => {
    void painted;
    const without = new Set(rejected.split(" ").map(Number));
    return solid && labels ? coarseLabels(frame, solid, labels.voxels, without) : null;
  }, [solid, frame, labels, rejected, painted]);

  useEffect(() => {
    const element = canvas.current;
    if (!element || !solid) return undefined;
    const draw = (): void => {
      const [width, height] = [element.clientWidth || 1, element.clientHeight || 1];
      const by = Math.min(1, Math.sqrt((quick ? QUICK_PIXELS : FINE_PIXELS) / (width * height)));
      const picture = project(frame, solid, marked, turn, Math.max(1, Math.round(width * by)), Math.max(1, Math.round(height * by)));
      seen.current = picture;
      show(element, picture, turn);
    };
    draw();
    const watch = new ResizeObserver(draw);
    watch.observe(element);
    return () => watch.disconnect();
  }, [solid, marked, turn, quick, frame]);

  const move = (event: PointerEvent<HTMLCanvasElement>): void => {
    const hand = held.current;
    if (!hand) return;
    const off = [event.clientX - hand.at[0], event.clientY - hand.at[1]] as const;
    if (!hand.moved && Math.hypot(...off) < 4) return;
    hand.moved = true;
    hand.at = [event.clientX, event.clientY];
    setQuick(true);
    setTurn((now) => turned(now, -off[0] / 2, off[1] / 2));
  };
  const up = (event: PointerEvent<HTMLCanvasElement>): void => {
    if (held.current && !held.current.moved) goThere(event);
    held.current = null;
    setQuick(false);
  };
  const goThere = (event: PointerEvent<HTMLCanvasElement>): void => {
    const picture = seen.current;
    const box = canvas.current?.getBoundingClientRect();
    if (!picture || !box || !solid || !marked || !labels) return;
    const x = Math.floor(((event.clientX - box.left) / box.width) * picture.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * picture.height);
    const voxel = picture.hits[x + picture.width * y] ?? -1;
    const finding = findings?.find((one) => one.number === (voxel < 0 ? 0 : marked[voxel]));
    if (!finding) return;
    onJump(finding);
    useView.getState().set({ focus: fineVoxel(frame, solid, voxel, labels.voxels, finding.number) });
  };
  const press = (event: KeyboardEvent): void => {
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey) return;
    setTurn((now) => turned(now, TURN_DEG * arrow[0], TURN_DEG * arrow[1]));
    event.preventDefault();
    event.stopPropagation(); // it is not the planes that scroll
  };
  return (
    <div className="pane" data-testid="pane-3d">
      <canvas
        ref={canvas}
        className="solid"
        tabIndex={0}
        role="application"
        aria-roledescription="3D view"
        aria-label={`3D view with ${findings?.length ?? 0} findings, turned by ${turn.around}°; arrow keys turn it`}
        data-around={turn.around}
        onKeyDown={press}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          held.current = { at: [event.clientX, event.clientY], moved: false };
        }}
        onPointerMove={move}
        onPointerUp={up}
        onPointerCancel={() => {
          held.current = null;
          setQuick(false);
        }}
      />
      {!complete && <p className="notice dim">3D comes with the last image.</p>}
    </div>
  );
}

function turned({ around, above }: Turn, by: number, over: number): Turn {
  return { around: (((Math.round(around + by) + 180) % 360) + 360) % 360 - 180, above: Math.min(80, Math.max(-80, Math.round(above + over))) };
}

/** A value that follows once it has stood still for a moment: a stroke is not a reason to draw everything anew. */
function useSettled(value: number): number {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), SETTLED_MS);
    return () => window.clearTimeout(timer);
  }, [value]);
  return settled;
}

function show(element: HTMLCanvasElement, picture: Projected, turn: Turn): void {
  const dense = window.devicePixelRatio || 1;
  const [width, height] = [element.clientWidth, element.clientHeight];
  [element.width, element.height] = [Math.round(width * dense), Math.round(height * dense)];
  const ctx = element.getContext("2d");
  if (!ctx) return;
  const flat = document.createElement("canvas");
  [flat.width, flat.height] = [picture.width, picture.height];
  flat.getContext("2d")?.putImageData(new ImageData(picture.pixels as Uint8ClampedArray<ArrayBuffer>, picture.width, picture.height), 0, 0);
  ctx.scale(dense, dense);
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(flat, 0, 0, width, height);
  const [left, right, top, bottom] = edges(sides(turn));
  text(ctx, left, 8, height / 2 + 4);
  text(ctx, right, width - 8, height / 2 + 4, "right");
  text(ctx, top, width / 2, 16, "center");
  text(ctx, bottom, width / 2, height - 8, "center");
  text(ctx, "3D, maximum intensity", 8, 16);
}
