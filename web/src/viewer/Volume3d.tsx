import { useEffect, useRef, type PointerEvent, type ReactElement } from "react";
import type { Scene } from "./scene";

/** The whole in 3D, to be turned with the hand. */
export function Volume3d({ scene }: { scene: Scene }): ReactElement {
  const gl = useRef<HTMLDivElement>(null);
  const held = useRef<[number, number] | null>(null);
  useEffect(() => {
    if (gl.current) void scene.mount3d(gl.current);
    return () => scene.unmount("3d");
  }, [scene]);
  const move = (event: PointerEvent<HTMLDivElement>): void => {
    if (!held.current) return;
    scene.turn3d((event.clientX - held.current[0]) / 2, (event.clientY - held.current[1]) / 2);
    held.current = [event.clientX, event.clientY];
  };
  return (
    <div
      className="pane"
      data-testid="pane-3d"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        held.current = [event.clientX, event.clientY];
      }}
      onPointerMove={move}
      onPointerUp={() => (held.current = null)}
    >
      <div className="gl" ref={gl} role="img" aria-label="3D view" />
    </div>
  );
}
