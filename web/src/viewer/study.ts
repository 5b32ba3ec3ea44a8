// A study on its way to the screen: its row, its reading, its voxels, its mask.
import { useEffect, useState } from "react";
import { ApiError, get, type Study } from "../api/client";
import { useReading } from "../store/reading";
import { clamped, frameOf, type Frame, type Index } from "./geometry";
import { graphicsHere, type Graphics } from "./graphics";
import { Labels } from "./labels";
import { loadCt, loadMask } from "./load";
import type { Scene } from "./scene";
import { FlatScene, NOT_YET } from "./scene_flat";
import { resetView, useView } from "./view";

export interface Opened {
  study: Study | null;
  frame: Frame | null;
  /** The CT; voxels of planes that have not come are `NOT_YET`. */
  hu: Int16Array | null;
  labels: Labels | null;
  original: Uint8Array | null;
  scene: Scene | null;
  /** How many planes have come, and whether these are all. */
  loaded: number;
  complete: boolean;
  problem: string;
  graphics: Graphics;
}

const NOTHING: Opened = {
  study: null,
  frame: null,
  hu: null,
  labels: null,
  original: null,
  scene: null,
  loaded: 0,
  complete: false,
  problem: "",
  graphics: "asking",
};

const ASK_AGAIN_MS = 4000;
const ON_ITS_WAY = new Set(["arriving", "queued", "running"]);

/** Load a study; with `again` counting up its mask anew, with `reopened` all of it. One that is on its way is asked for until it is there. */
export function useStudy(studyId: string, again: number, reopened = 0, readOnly = false): Opened {
  const [opened, setOpened] = useState<Opened>(NOTHING);
  const put = (change: Partial<Opened>): void => setOpened((now) => ({ ...now, ...change }));

  useEffect(() => {
    const stop = new AbortController();
    let scene: Scene | null = null;
    let later: number | undefined;
    /** One scene in the place of another, seen alike. */
    const instead = (next: Scene, change: Partial<Opened>): void => {
      const before = scene;
      if (before) next.lookAs(before);
      scene = next;
      put({ scene: next, ...change });
      if (before) setTimeout(() => before.destroy()); // its panes have let go of it by then
    };
    const open = async (): Promise<void> => {
      const study = await get<Study>(`/api/studies/${studyId}`, stop.signal);
      put({ study });
      if (!readOnly) await useReading.getState().load(studyId).catch(unlessMissing);
      if (!study.grid) {
        if (ON_ITS_WAY.has(study.state)) later = window.setTimeout(attempt, ASK_AGAIN_MS);
        return;
      }
      const frame = frameOf(study.grid);
      const finding = useReading.getState().reading?.findings[0]?.size?.centre_ijk as Index | undefined;
      const focus = clamped(frame.shape, finding ?? middleOf(frame));
      if (!readOnly) resetView(focus);
      const hu = new Int16Array(frame.shape[0] * frame.shape[1] * frame.shape[2]).fill(NOT_YET);
      const flat = new FlatScene(frame, hu);
      instead(flat, { frame, hu });
      const masks = Promise.all([loadMask(studyId, false, stop.signal).catch(unlessMissing), loadMask(studyId, true, stop.signal).catch(unlessMissing)]);
      const masked = masks.then(([voxels, original]) => {
        if (!stop.signal.aborted) put({ labels: voxels ? new Labels(frame.shape, frame.spacing, voxels, hu) : null, original: original ?? null });
      });
      const ct = loadCt(
        studyId,
        frame,
        hu,
        focus[2],
        (loaded) => {
          flat.arrived();
          put({ loaded });
        },
        stop.signal,
      );
      await Promise.all([masked, ct]);
      if (!stop.signal.aborted && !readOnly) await accelerate(frame, hu);
      if (!stop.signal.aborted) put({ complete: true });
    };
    const accelerate = async (frame: Frame, hu: Int16Array): Promise<void> => {
      const flatly = (graphics: "none" | "lost"): void => instead(new FlatScene(frame, hu), { graphics });
      try {
        const graphics = graphicsHere();
        if (graphics !== "webgl") return put({ graphics });
        const { GlScene } = await import("./scene_gl");
        if (stop.signal.aborted) return;
        instead(new GlScene(frame, hu, () => flatly("lost")), { graphics: "webgl" });
      } catch {
        if (!stop.signal.aborted) flatly("none"); // the pictures are there without it
      }
    };
    const attempt = (): void => {
      open().catch((error: unknown) => {
        if (!stop.signal.aborted) put({ problem: error instanceof Error ? error.message : String(error) });
      });
    };
    setOpened(NOTHING);
    attempt();
    return () => {
      stop.abort();
      window.clearTimeout(later);
      scene?.destroy();
    };
  }, [studyId, reopened, readOnly]);

  useEffect(() => {
    if (again === 0) return;
    const stop = new AbortController();
    loadMask(studyId, false, stop.signal)
      .then((voxels) => {
        setOpened((now) => (now.frame && now.hu ? { ...now, labels: new Labels(now.frame.shape, now.frame.spacing, voxels, now.hu) } : now));
        useView.getState().redraw();
      })
      .catch((error: unknown) => {
        if (!stop.signal.aborted) put({ problem: error instanceof Error ? error.message : String(error) });
      });
    return () => stop.abort();
  }, [again, studyId]);

  return opened;
}

const middleOf = (frame: Frame): Index => frame.shape.map((n) => Math.floor(n / 2)) as Index;

/** A study that was never analysed has no reading and no mask; it is shown all the same. */
function unlessMissing(error: unknown): undefined {
  if (error instanceof ApiError && error.status === 404) return undefined;
  throw error;
}
