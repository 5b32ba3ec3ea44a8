import { useEffect, useRef, useState, type ReactElement } from "react";
import { clamped, rounded, toIndex, toWorld, type Frame, type V3 } from "./geometry";
import { drawFrame, text } from "./draw";
import { MaskLayer } from "./mask";
import type { Scene } from "./scene";
import { useStudy } from "./study";
import { useView } from "./view";

const NONE: ReadonlySet<number> = new Set();

/** The earlier study's axial plane beside the present one; it scrolls along by the patient's own height until moved by hand. */
export function Prior({ studyId, frame, present, close }: { studyId: string; frame: Frame; present: Scene; close: () => void }): ReactElement {
  const { study, frame: own, labels, scene, problem } = useStudy(studyId, 0, 0, true);
  const gl = useRef<HTMLDivElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const mask = useRef(new MaskLayer());
  const [shift, setShift] = useState(0);

  useEffect(() => {
    if (!scene || !gl.current) return;
    void scene.mount("axial", gl.current).then(() => {
      scene.window(useView.getState().window);
      useView.getState().redraw();
    });
    return () => scene.unmount("axial");
  }, [scene]);

  useEffect(() => {
    if (!scene || !own) return;
    const show = (): void => {
      const view = useView.getState();
      const here = toWorld(frame, view.focus);
      const focus = clamped(own.shape, rounded(toIndex(own, [here[0], here[1], here[2] + shift])));
      scene.window(view.window);
      scene.scaleAs("axial", present);
      scene.show("axial", focus);
      const canvas = over.current;
      const ctx = canvas?.getContext("2d");
      if (!canvas || !ctx) return;
      canvas.dataset.slice = String(focus[own.planes.axial.axis]);
      canvas.width = canvas.clientWidth;
      canvas.height = canvas.clientHeight;
      const toCanvas = (world: V3): [number, number] => scene.toCanvas("axial", world);
      const plane = own.planes.axial;
      if (labels && view.overlay) mask.current.draw(ctx, own, plane, focus, labels, toCanvas, { filled: view.filled, active: null, dimmed: NONE });
      drawFrame(ctx, plane, canvas.width, canvas.height, toCanvas, toWorld(own, focus));
      text(ctx, `prior ${study?.study_at?.slice(0, 10) ?? ""}  ${focus[plane.axis] + 1}/${own.shape[plane.axis]}`, 8, 16);
    };
    show();
    const watch = new ResizeObserver(() => {
      scene.resize();
      show();
    });
    if (gl.current) watch.observe(gl.current);
    const stop = useView.subscribe(show);
    return () => {
      stop();
      watch.disconnect();
    };
  }, [scene, own, labels, frame, present, shift, study]);

  const scroll = (by: number): void => {
    if (own) setShift((mm) => mm - by * own.spacing[own.planes.axial.axis]);
  };

  return (
    <div className="pane" data-testid="pane-prior">
      <div className="gl" ref={gl} />
      <canvas
        ref={over}
        tabIndex={0}
        role="application"
        aria-roledescription="image plane"
        aria-label="prior study, axial plane; it scrolls along, and by itself with the wheel or ↑ ↓"
        onWheel={(event) => scroll(Math.sign(event.deltaY))}
        onKeyDown={(event) => {
          if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
          scroll(event.key === "ArrowDown" ? 1 : -1);
          event.preventDefault();
          event.stopPropagation(); // the present study stays where it is
        }}
      />
      <button className="close" onClick={close} aria-label="close the prior study">
        ×
      </button>
      {problem && <p className="words bad">{problem}</p>}
    </div>
  );
}
