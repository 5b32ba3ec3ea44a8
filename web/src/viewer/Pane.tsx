import { useCallback, useEffect, useRef, type PointerEvent, type ReactElement } from "react";
import { useReading } from "../store/reading";
import { hush } from "./actions";
import type { Point } from "./camera";
import { clamped, onward, type PlaneName, type V3 } from "./geometry";
import { Hand, hands, type Doing, type Layers } from "./hand";
import { MaskLayer } from "./mask";
import { paintOver, sliceWords, type Masks } from "./overlay";
import type { Scene } from "./scene";
import { useView } from "./view";

interface Props extends Doing {
  name: PlaneName;
  scene: Scene;
  layers: Layers;
}

/** One plane: the picture below, what lies over it above, and the hand. */
export function Pane(props: Props): ReactElement {
  const { name, scene, layers, onStroke, onPoint, onBox, onMeasure } = props;
  const { frame } = layers;
  const plane = frame.planes[name];
  const gl = useRef<HTMLDivElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const masks = useRef<Masks>({ present: new MaskLayer(), original: new MaskLayer(), proposal: new MaskLayer() });
  const mouse = useRef<Point | null>(null);
  const inHand = useView((s) => s.plane === name);

  const doing = useRef<Doing>({ onStroke, onPoint, onBox, onMeasure });
  useEffect(() => {
    doing.current = { onStroke, onPoint, onBox, onMeasure };
  });
  const hand = useRef<Hand | null>(null);
  useEffect(() => {
    const mine = new Hand(
      { name, scene, layers },
      {
        onStroke: () => doing.current.onStroke(),
        onPoint: (ijk) => doing.current.onPoint(ijk),
        onBox: (from, to) => doing.current.onBox(from, to),
        onMeasure: (draft) => doing.current.onMeasure(draft),
      },
    );
    hand.current = mine;
    hands.set(name, mine);
    return () => {
      if (hands.get(name) === mine) hands.delete(name);
    };
  }, [name, scene, layers]);

  const draw = useCallback(() => {
    const canvas = over.current;
    if (!canvas) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const dense = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(height * dense);
    }
    canvas.setAttribute("aria-label", sliceWords(layers, name));
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
      scene.show(name, useView.getState().focus);
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
        if (now.focus !== before.focus) {
          scene.show(name, now.focus);
          if (now.plane === name) hand.current?.follow();
        }
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
  const down = (event: PointerEvent<HTMLCanvasElement>): void => {
    event.currentTarget.setPointerCapture(event.pointerId);
    hush();
    const what = event.button === 2 ? "window" : event.button === 1 || event.shiftKey ? "pan" : useView.getState().tool;
    hand.current?.down(at(event), what);
  };
  const move = (event: PointerEvent<HTMLCanvasElement>): void => {
    mouse.current = at(event);
    if (event.buttons !== 0) hand.current?.move(mouse.current);
    else drawSoon();
  };
  const up = (): void => hand.current?.up();

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
    useView.getState().redraw();
  };

  return (
    <div className={`pane${inHand ? " in-hand" : ""}`} data-testid={`pane-${name}`}>
      <div className="gl" ref={gl} />
      <canvas
        ref={over}
        tabIndex={0}
        data-testid={`over-${name}`}
        role="application"
        aria-roledescription="image plane"
        aria-label={`${name} plane`}
        onFocus={() => useView.getState().set({ plane: name })}
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
