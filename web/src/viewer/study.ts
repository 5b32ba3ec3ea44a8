// A study on its way to the screen: its row, its reading, its voxels, its mask.
import { useEffect, useState } from "react";
import { ApiError, get, type Study } from "../api/client";
import { useReading } from "../store/reading";
import { frameOf, type Frame, type Index } from "./geometry";
import { Labels } from "./labels";
import { loadCt, loadMask } from "./load";
import { canDraw, Scene } from "./scene";
import { resetView, useView } from "./view";

export interface Opened {
  study: Study | null;
  frame: Frame | null;
  hu: Int16Array | null;
  labels: Labels | null;
  original: Uint8Array | null;
  scene: Scene | null;
  /** The middle plane alone, shown while the others come. */
  first: { plane: Int16Array; k: number } | null;
  loaded: number;
  problem: string;
  graphics: boolean;
}

const NOTHING: Opened = {
  study: null,
  frame: null,
  hu: null,
  labels: null,
  original: null,
  scene: null,
  first: null,
  loaded: 0,
  problem: "",
  graphics: true,
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
    const open = async (): Promise<void> => {
      const study = await get<Study>(`/api/studies/${studyId}`, stop.signal);
      put({ study });
      if (!readOnly) await useReading.getState().load(studyId).catch(unlessMissing);
      if (!study.grid) {
        if (ON_ITS_WAY.has(study.state)) later = window.setTimeout(attempt, ASK_AGAIN_MS);
        return;
      }
      const frame = frameOf(study.grid);
      put({ frame });
      const focus = middleOf(frame);
      const finding = useReading.getState().reading?.findings[0]?.size?.centre_ijk as Index | undefined;
      if (!readOnly) resetView(finding ?? focus);
      const graphics = canDraw();
      put({ graphics });
      const mask = loadMask(studyId, false, stop.signal).catch(unlessMissing);
      const ai = loadMask(studyId, true, stop.signal).catch(unlessMissing);
      const hu = await loadCt(
        studyId,
        frame,
        (all, first, last, done) => {
          const size = frame.shape[0] * frame.shape[1];
          if (first === last) put({ first: { plane: all.slice(first * size, (first + 1) * size), k: first }, loaded: 1 });
          else put({ loaded: done });
        },
        stop.signal,
      );
      if (stop.signal.aborted) return;
      if (graphics) scene = new Scene(frame, hu);
      const [voxels, original] = await Promise.all([mask, ai]);
      if (stop.signal.aborted) return scene?.destroy();
      const labels = voxels ? new Labels(frame.shape, frame.spacing, voxels, hu) : null;
      put({ hu, scene, labels, original: original ?? null, first: null });
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
