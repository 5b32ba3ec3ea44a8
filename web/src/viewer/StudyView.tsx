import { useCallback, useEffect, useMemo, useRef, useState, type ReactElement } from "react";
import type { Change, Finding } from "../api/client";
import { call } from "../api/client";
import { go, guardLeaving } from "../app/route";
import { openSign, ReportPanel } from "../report/ReportPanel";
import { holdsBack, useReading } from "../store/reading";
import { useMayRead } from "../store/session";
import { addFinding, boxAround, forgetStrokes, propose, saveNow, saveSoon, takeProposal, unsaved } from "./editing";
import { clamped, onward, PLANES, toWorld, turned, type Index, type PlaneName, type V3 } from "./geometry";
import { Help } from "./Help";
import { typing } from "./keys";
import { Pane, type Layers } from "./Pane";
import { Prior } from "./Prior";
import { useStudy } from "./study";
import { Toolbar } from "./Toolbar";
import { useView, WINDOWS, type Draft, type Tool } from "./view";
import { Volume3d } from "./Volume3d";
import "./viewer.css";

const TOOLS: Record<string, Tool> = { c: "cross", d: "brush", e: "erase", p: "point", b: "box", l: "length", r: "bidirectional", q: "roi" };
const EDITS = new Set<string>(["d", "e", "p", "b", "l", "r", "q", "n", "f", "i", "a", "x", "undo", "redo"]);
const RETRY_MS = 5000;
const SLABS = [0, 5, 10, 20];

/** One study: three linked planes, the tools, and the report beside them. */
export default function StudyView({ studyId }: { studyId: string }): ReactElement {
  const [again, setAgain] = useState(0);
  const [reopened, setReopened] = useState(0);
  const opened = useStudy(studyId, again, reopened);
  const { study, frame, hu, labels, original, scene, problem } = opened;
  const reading = useReading((s) => s.reading);
  const [help, setHelp] = useState(false);
  const [in3d, setIn3d] = useState(false);
  const [prior, setPrior] = useState<string | null>(null);
  const view = useView();
  const mayRead = useMayRead();
  const editable = mayRead && reading !== null && reading.state !== "signed" && labels !== null;

  const layers = useMemo<Layers | null>(
    () => (frame && hu ? { frame, hu, labels, original, editable } : null),
    [frame, hu, labels, original, editable],
  );

  const jump = useCallback(
    (finding: Finding) => {
      useReading.getState().select(finding.number);
      const centre = finding.size?.centre_ijk as Index | undefined;
      if (!centre || !frame) return;
      useView.getState().set({ focus: centre });
      if (scene) PLANES.forEach((name) => scene.reveal(name, toWorld(frame, centre)));
      useView.getState().redraw();
    },
    [frame, scene],
  );

  const stroked = useCallback(() => labels && saveSoon(labels), [labels]);
  const measured = useCallback((draft: Draft) => {
    const measurement = {
      kind: draft.kind,
      points_xyz: thinned(draft.points).map(turned),
      label: "",
      finding: useReading.getState().active,
    };
    void useReading.getState().change([{ op: "measure", measurement } as Change]);
  }, []);

  const act = useCallback(
    (key: string): void => {
      const now = useView.getState();
      const store = useReading.getState();
      if (EDITS.has(key) && (!editable || labels?.painting)) return; // not in the middle of a stroke
      const tool = TOOLS[key];
      if (tool) return now.set({ tool, draft: null, words: WORDS[tool] });
      if (WINDOWS[key]) {
        now.set({ window: { level: WINDOWS[key].level, width: WINDOWS[key].width } });
        return;
      }
      if (key === "undo" || key === "redo") {
        const step = key === "undo" ? labels?.undo() : labels?.redo();
        if (step && labels) saveSoon(labels);
        return now.redraw();
      }
      const findings = store.reading?.findings ?? [];
      const at = findings.findIndex((one) => one.number === store.active);
      if ((key === "j" || key === "k") && findings.length > 0) {
        jump(findings[(at + (key === "j" ? 1 : findings.length - 1) + findings.length) % findings.length]!);
      } else if ((key === "a" || key === "x") && store.active !== null) {
        void store.change([{ op: "decide", number: store.active, decision: key === "a" ? "accepted" : "rejected" }]);
      } else if (key === "n") {
        void addFinding(findings[at]?.type ?? "other_mass", "reader").then((number) => {
          if (number !== null) now.set({ tool: "brush", words: "Paint the new finding." });
        });
      } else if (key === "s") openSign();
      else if (key === "?") setHelp(true);
      else if (key === "v") setIn3d((is) => !is);
      else if (key === "0" && scene) {
        for (const name of PLANES) {
          scene.fit(name);
          scene.show(name, now.focus);
        }
        now.redraw();
      } else if (key === "+") now.set({ cross: !now.cross });
      else if (key === "o") now.set({ original: !now.original });
      else if (key === "m") now.set({ overlay: !now.overlay });
      else if (key === "M") now.set({ filled: !now.filled, overlay: true });
      else if (key === "g") now.set({ sphere: !now.sphere });
      else if (key === "h") {
        const [low, high] = [now.window.level - now.window.width / 2, now.window.level + now.window.width / 2];
        now.set({ range: now.range ? null : [Math.round(low), Math.round(high)] });
      } else if (key === "t") {
        const slabMm = SLABS[(SLABS.indexOf(now.slabMm) + 1) % SLABS.length]!;
        now.set({ slabMm });
      } else if (key === "[" || key === "]") now.set({ radiusMm: Math.min(30, Math.max(0.5, now.radiusMm + (key === "]" ? 1 : -1))) });
      else if ((key === "f" || key === "i") && labels && frame && store.active !== null) {
        const axis = frame.planes.axial.axis;
        labels.begin(key === "f" ? "fill" : "interpolate");
        const done = key === "f" ? labels.fillHoles(now.focus[axis], axis, store.active) : labels.interpolate(axis, store.active);
        labels.end();
        now.set({ words: key === "f" ? `${done} voxels filled in this slice.` : `${done} slices made between painted ones.` });
        saveSoon(labels);
        now.redraw();
      }
    },
    [editable, labels, frame, scene, jump],
  );

  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (typing(event.target)) return;
      const now = useView.getState();
      const key = event.key.length === 1 ? (event.shiftKey && event.key === "M" ? "M" : event.key.toLowerCase()) : event.key;
      if (event.ctrlKey || event.metaKey) {
        if (key === "z") act(event.shiftKey ? "redo" : "undo");
        else if (key === "y") act("redo");
        else return;
      } else if (event.altKey) return;
      else if (key === "Enter" && labels && now.proposal) void takeProposal(labels);
      else if (key === "Escape") {
        if (!now.proposal && !now.draft && now.tool === "cross") return go("/worklist");
        now.set({ proposal: null, draft: null, tool: "cross", words: "" });
      } else if (frame && ["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(key)) {
        const focus = now.focus.slice() as V3;
        const by = (key.startsWith("Page") ? 10 : 1) * (key.endsWith("Down") ? 1 : -1);
        focus[frame.planes.axial.axis] += by * onward(frame, "axial");
        now.set({ focus: clamped(frame.shape, focus) });
      } else if (key.length === 1) act(key);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [act, labels, frame]);

  useEffect(() => (labels ? holdsBack(() => saveNow(labels)) : undefined), [labels]);
  useEffect(() => scene?.window(view.window), [scene, view.window]);
  useEffect(() => scene?.slab(view.slabMm), [scene, view.slabMm]);
  useEffect(() => useView.getState().redraw(), [layers]);

  // whoever won a conflict: the planes of the other side are on the server and not here, and would be painted over unseen
  const conflict = useReading((s) => s.conflict);
  const saving = useReading((s) => s.saving);
  const collided = useRef<"" | "theirs" | "mine">("");
  useEffect(() => {
    if (conflict) collided.current = "theirs";
    else if (collided.current && saving === "saving") collided.current = "mine";
    else if (collided.current && saving === "saved") {
      const reload = (): void => setAgain((n) => n + 1);
      if (collided.current === "mine" && labels) void saveNow(labels).then(reload);
      else {
        forgetStrokes(labels);
        reload();
      }
      collided.current = "";
    }
  }, [conflict, saving, labels]);

  useEffect(() => {
    const leave = (event: BeforeUnloadEvent): void => {
      if (unsaved(labels)) event.preventDefault();
    };
    addEventListener("beforeunload", leave);
    guardLeaving(() => {
      if (labels) void saveNow(labels);
      const { saving } = useReading.getState();
      return saving === "saved" || saving === "saving" || confirm("Some of your work is not saved yet. Leave it behind?");
    });
    return () => {
      removeEventListener("beforeunload", leave);
      guardLeaving(null);
      // the browser's back button asks no guard; the last strokes go on their way before another study is open
      if (labels && !collided.current) void saveNow(labels);
    };
  }, [labels]);

  // what was kept here while the server was away is sent by itself
  useEffect(() => {
    if (saving !== "offline") return;
    const retry = (): void => void useReading.getState().retry();
    const timer = window.setInterval(retry, RETRY_MS);
    addEventListener("online", retry);
    return () => {
      window.clearInterval(timer);
      removeEventListener("online", retry);
    };
  }, [saving]);

  useEffect(() => testHandle(scene, layers, setPrior), [scene, layers]);

  const liveMl = useMemo(() => {
    void view.drawn;
    const found = new Map<number, number>();
    if (labels && frame) for (const [label, voxels] of labels.counts) found.set(label, voxels * frame.voxelMl);
    return found;
  }, [labels, frame, view.drawn]);

  const begin = async (): Promise<void> => {
    await call("POST", `/api/studies/${studyId}/reading`);
    setReopened((n) => n + 1);
  };

  const pane = (name: PlaneName): ReactElement | null =>
    scene && layers ? (
      <Pane
        name={name}
        scene={scene}
        layers={layers}
        onStroke={stroked}
        onPoint={(ijk) => void propose(studyId, { point_ijk: ijk as Index })}
        onBox={(from, to) =>
          void propose(studyId, { box_ijk: boxAround(from, to, layers.frame.planes[name].axis, layers.frame.spacing, layers.frame.shape) })
        }
        onMeasure={measured}
      />
    ) : null;

  return (
    <main className="study" data-testid="study" data-ready={scene && layers ? "yes" : "no"}>
      <Toolbar act={act} undoable={labels?.undoable ?? 0} redoable={labels?.redoable ?? 0} editable={editable} in3d={in3d} liveMl={liveMl} />
      <section className={`images${prior ? " beside" : ""}`} aria-label="Images">
        {scene && layers ? (
          <>
            {pane("axial")}
            {prior ? <Prior studyId={prior} frame={layers.frame} present={scene} close={() => setPrior(null)} /> : null}
            {pane("coronal")}
            {in3d ? <Volume3d scene={scene} /> : pane("sagittal")}
          </>
        ) : (
          <Waiting opened={opened} begin={() => void begin()} />
        )}
        {(view.words || problem) && (
          <p className="words" role="status">
            {problem || view.words}
          </p>
        )}
      </section>
      {study && <ReportPanel study={study} liveMl={liveMl} onJump={jump} onPrior={setPrior} />}
      {help && <Help close={() => setHelp(false)} />}
    </main>
  );
}

const WORDS: Record<Tool, string> = {
  cross: "",
  brush: "",
  erase: "",
  point: "Click a lesion: the network proposes its outline.",
  box: "Draw a box round a lesion: the network proposes its outline.",
  length: "Drag a line.",
  bidirectional: "Drag the long axis, then the short one across it.",
  roi: "Draw round a region.",
};

function Waiting({ opened, begin }: { opened: ReturnType<typeof useStudy>; begin: () => void }): ReactElement {
  const { study, frame, first, loaded, problem, graphics, hu } = opened;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const ctx = canvas.current?.getContext("2d");
    if (!ctx || !first || !frame) return;
    const [width, height] = frame.shape;
    const image = ctx.createImageData(width, height);
    first.plane.forEach((value, at) => {
      const grey = Math.max(0, Math.min(255, ((value + 160) / 400) * 255));
      image.data.set([grey, grey, grey, 255], at * 4);
    });
    ctx.putImageData(image, 0, 0);
  }, [first, frame]);
  if (problem) return <p className="notice bad">{problem}</p>;
  if (!study) return <p className="notice dim">Loading…</p>;
  if (!graphics && hu)
    return (
      <p className="notice" role="alert">
        This browser draws no WebGL 2, which the images need. Switch hardware acceleration on in its settings, or use a current Chrome,
        Edge or Firefox. The report beside works all the same.
      </p>
    );
  if (!study.grid)
    return (
      <div className="notice">
        <p>
          {study.state === "failed"
            ? `The analysis failed: ${study.problem}`
            : study.state === "arriving"
              ? "Images are still arriving."
              : `The analysis is ${study.state}${study.progress != null ? `, ${Math.round(100 * study.progress)} %` : ""}.`}
        </p>
        {study.primary_series && (study.state === "failed" || study.state === "queued") && (
          <button onClick={begin}>Read it without the AI</button>
        )}
      </div>
    );
  return (
    <div className="first">
      {frame && <canvas ref={canvas} data-testid="first-image" width={frame.shape[0]} height={frame.shape[1]} aria-label="first image" />}
      <progress max={frame?.shape[2] ?? 1} value={loaded} aria-label="images loaded" />
      <span className="dim">
        {loaded} of {frame?.shape[2] ?? "?"} images
      </span>
    </div>
  );
}

const MOST_POINTS = 200;

function thinned(points: V3[]): V3[] {
  const every = Math.max(1, Math.ceil(points.length / MOST_POINTS));
  return points.filter((_, n) => n % every === 0 || points.length <= 4);
}

/** With ?test in the address: where a voxel is on the screen, and what label it has, for tests that use the real mouse. */
function testHandle(scene: ReturnType<typeof useStudy>["scene"], layers: Layers | null, beside: (id: string | null) => void): (() => void) | undefined {
  if (!new URLSearchParams(location.search).has("test") || !scene || !layers) return undefined;
  const handle = {
    screenOf: (name: PlaneName, ijk: V3): [number, number] => {
      const box = document.querySelector(`[data-testid=over-${name}]`)?.getBoundingClientRect();
      const [x, y] = scene.toCanvas(name, toWorld(layers.frame, ijk));
      return [x + (box?.left ?? 0), y + (box?.top ?? 0)];
    },
    beside,
    store: useReading,
    focus: () => useView.getState().focus,
    labelAt: (ijk: V3) => layers.labels?.at(ijk as Index) ?? null,
    count: (label: number) => layers.labels?.counts.get(label) ?? 0,
    shape: layers.frame.shape,
  };
  Object.assign(window, { panlesion: handle });
  return () => delete (window as { panlesion?: unknown }).panlesion;
}
