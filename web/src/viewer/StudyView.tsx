import { lazy, Suspense, useCallback, useEffect, useMemo, useState, type MouseEvent, type ReactElement } from "react";
import { call, type Change, type Choices, type Finding } from "../api/client";
import { wordsOf } from "../api/loaded";
import { go } from "../app/route";
import { ReportPanel } from "../report/ReportPanel";
import { TypeChooser } from "../report/TypeChooser";
import { loadChoices, typeWords, useChoices } from "../store/choices";
import { useReading } from "../store/reading";
import { useMayRead } from "../store/session";
import { act as actOn, confirm, dropAll, press, steer, type Acting } from "./actions";
import { addFinding, boxAround, findingUnder, propose, saveSoon } from "./editing";
import { clamped, PLANES, rounded, toIndex, toWorld, turned, type Index, type PlaneName, type V3 } from "./geometry";
import type { Layers } from "./hand";
import { Help } from "./Help";
import { useKeeping } from "./keeping";
import { keyOf, slides, typing } from "./keys";
import { Pane } from "./Pane";
import { Prior } from "./Prior";
import { useStudy, type Opened } from "./study";
import { Toolbar } from "./Toolbar";
import { useView, type Draft } from "./view";
import "./viewer.css";
import { Arriving, Waiting } from "./Waiting";

const Volume3d = lazy(() => import("./Volume3d"));

/** One study: three linked planes, the tools, and the report beside them. */
export default function StudyView({ studyId }: { studyId: string }): ReactElement {
  const [again, setAgain] = useState(0);
  const [reopened, setReopened] = useState(0);
  const opened = useStudy(studyId, again, reopened);
  const { study, frame, hu, labels, original, scene, problem, complete } = opened;
  const reading = useReading((s) => s.reading);
  const [help, setHelp] = useState(false);
  const [in3d, setIn3d] = useState(false);
  const [prior, setPrior] = useState<string | null>(null);
  const [asked, setAsked] = useState<"new" | "retype" | null>(null);
  const choices = useChoices();
  useEffect(() => void loadChoices().catch((error: unknown) => useView.getState().set({ words: wordsOf(error) })), []);
  const view = useView();
  const mayRead = useMayRead();
  const editable = mayRead && reading !== null && reading.state !== "signed" && labels !== null && complete;

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
  const place = useCallback(
    (ras: V3) => {
      if (!frame) return;
      const world = turned(ras);
      useView.getState().set({ focus: clamped(frame.shape, rounded(toIndex(frame, world))) });
      if (scene) PLANES.forEach((name) => scene.reveal(name, world));
      useView.getState().redraw();
    },
    [frame, scene],
  );
  const acting = useMemo<Acting>(
    () => ({ frame, scene, labels, editable, jump, ask: setAsked, help: () => setHelp(true), threeD: () => setIn3d((is) => !is) }),
    [frame, scene, labels, editable, jump],
  );
  const act = useCallback((key: string) => actOn(key, acting), [acting]);
  useKeys(act, acting);
  useKeeping(labels, useCallback(() => setAgain((n) => n + 1), []));

  useEffect(() => scene?.window(view.window), [scene, view.window]);
  useEffect(() => scene?.slab(view.slabMm), [scene, view.slabMm]);
  useEffect(() => useView.getState().redraw(), [layers]);
  const signed = reading?.state === "signed";
  useEffect(() => {
    if (signed) dropAll("cross"); // nothing can be painted any more
  }, [signed]);
  useEffect(() => testHandle(scene, layers, setPrior), [scene, layers]);

  const liveMl = useMemo(() => {
    void view.drawn;
    const found = new Map<number, number>();
    if (labels && frame) for (const [label, voxels] of labels.counts) found.set(label, voxels * frame.voxelMl);
    return found;
  }, [labels, frame, view.drawn]);

  const begin = async (): Promise<void> => {
    try {
      await call("POST", `/api/studies/${studyId}/reading`);
      setReopened((n) => n + 1);
    } catch (error) {
      useView.getState().set({ words: wordsOf(error) });
    }
  };

  const pane = (name: PlaneName): ReactElement | null =>
    scene && layers ? (
      <Pane
        name={name}
        scene={scene}
        layers={layers}
        onStroke={() => labels && saveSoon(labels)}
        onPoint={(ijk) => void propose(studyId, { point_ijk: ijk as Index })}
        onBox={(from, to) =>
          void propose(studyId, { box_ijk: boxAround(from, to, layers.frame.planes[name].axis, layers.frame.spacing, layers.frame.shape) })
        }
        onMeasure={(draft) => void measure(draft, layers)}
      />
    ) : null;

  return (
    <main
      className="study"
      data-testid="study"
      data-ready={complete && scene && layers ? "yes" : "no"}
      data-graphics={opened.graphics}
      onClick={letGo}
    >
      <Toolbar act={act} undoable={labels?.undoable ?? 0} redoable={labels?.redoable ?? 0} editable={editable} in3d={in3d} liveMl={liveMl} />
      <section className={`images${prior ? " beside" : ""}`} aria-label="Images">
        {scene && layers ? (
          <>
            {pane("axial")}
            {prior ? <Prior studyId={prior} frame={layers.frame} present={scene} close={() => setPrior(null)} /> : null}
            {pane("coronal")}
            {in3d ? (
              <Suspense fallback={<div className="pane" />}>
                <Volume3d layers={layers} complete={complete} onJump={jump} />
              </Suspense>
            ) : (
              pane("sagittal")
            )}
            <Arriving opened={opened} />
            <Drawn graphics={opened.graphics} />
          </>
        ) : (
          <Waiting opened={opened} begin={() => void begin()} again={() => setReopened((n) => n + 1)} />
        )}
        <p className={`words${(view.words || problem) && scene ? "" : " unseen"}`} role="status" data-testid="words">
          {(scene && problem) || view.words}
          {scene && problem && !complete && (
            <button className="again" onClick={() => setReopened((n) => n + 1)}>
              Try again
            </button>
          )}
        </p>
      </section>
      {study && <ReportPanel study={study} choices={choices} liveMl={liveMl} onJump={jump} onPlace={place} onPrior={setPrior} />}
      {help && <Help close={() => setHelp(false)} />}
      {asked && choices && <Ask what={asked} choices={choices} close={() => setAsked(null)} />}
    </main>
  );
}

/** A button that the mouse has pressed keeps no focus: Space would press it again, and is the hand in the images. */
function letGo(event: MouseEvent<HTMLElement>): void {
  const button = (event.target as HTMLElement).closest("button");
  if (event.detail > 0 && button && !button.closest("dialog")) button.blur();
}

/** What draws the pictures, where it is not the graphics card. */
function Drawn({ graphics }: { graphics: Opened["graphics"] }): ReactElement | null {
  if (graphics !== "none" && graphics !== "lost") return null;
  const cause = graphics === "none" ? "This browser has no WebGL 2" : "The graphics card has let go of the pictures";
  return (
    <p className="drawn" role="status" data-testid="no-webgl" title="Everything works, scrolling is slower. Switch hardware acceleration on in the browser's settings, or load the page again.">
      {cause}: drawn by the processor.
    </p>
  );
}

/** The type of a new finding, or another one for the active finding. */
function Ask({ what, choices, close }: { what: "new" | "retype"; choices: Choices; close: () => void }): ReactElement {
  const { active, reading, change } = useReading();
  const present = reading?.findings.find((one) => one.number === active) ?? null;
  const choose = (type: string): void => {
    if (what === "retype") {
      if (active !== null) void change([{ op: "retype", number: active, type }]);
      return;
    }
    void addFinding(type, "reader").then((number) => {
      if (number !== null) useView.getState().set({ tool: "brush", draft: null, proposal: null, words: `Paint finding ${number}, ${typeWords(type)}.` });
    });
  };
  const title = what === "new" ? "New finding: of which type?" : `Finding ${active}: which type?`;
  return <TypeChooser title={title} choices={choices.types} present={what === "new" ? null : (present?.type ?? null)} choose={choose} close={close} />;
}

function useKeys(act: (key: string) => void, study: Acting): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (typing(event.target) || slides(event) || event.altKey) return;
      const { frame, scene, labels } = study;
      const key = keyOf(event);
      const onButton = (event.target as HTMLElement | null)?.closest?.("button, a, summary") != null;
      if ((key === " " || key === "Enter") && onButton) return; // it presses the button that has the focus
      if (frame && steer({ key, shiftKey: event.shiftKey, ctrlKey: event.ctrlKey }, frame, scene)) {
        // scrolled
      } else if (event.ctrlKey || event.metaKey) {
        if (key === "z" || key === "Z") act(event.shiftKey ? "redo" : "undo");
        else if (key === "y") act("redo");
        else return;
      } else if (key === "Enter") {
        if (!confirm(labels)) return;
      } else if (key === "Escape") {
        const { proposal, draft, tool } = useView.getState();
        if (!proposal && !draft && tool === "cross") return go("/worklist");
        dropAll("cross");
      } else if (key === " ") press();
      else if (key === "Backspace") act("Delete");
      else if (key.length === 1 || key === "Delete") act(key);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [act, study]);
}

/** Send what was measured, as of the finding that it was drawn on; it is the one that Delete removes. */
async function measure(draft: Draft, { frame, labels }: Layers): Promise<void> {
  const measurement = {
    kind: draft.kind,
    points_xyz: thinned(draft.points).map(turned),
    label: "",
    finding: labels && findingUnder(labels, draft.points.map((p) => toIndex(frame, p)), useReading.getState().active),
  };
  if (await useReading.getState().change([{ op: "measure", measurement } as Change])) {
    useView.getState().set({ measurement: useReading.getState().reading?.measurements.at(-1)?.id ?? null });
  } else useView.getState().set({ words: useReading.getState().problem });
}

const MOST_POINTS = 200;

function thinned(points: V3[]): V3[] {
  const every = Math.max(1, Math.ceil(points.length / MOST_POINTS));
  return points.filter((_, n) => n % every === 0 || points.length <= 4);
}

/** With ?test in the address: where a voxel is on the screen, and what label it has, for tests that use the real mouse. */
function testHandle(scene: Opened["scene"], layers: Layers | null, beside: (id: string | null) => void): (() => void) | undefined {
  if (!new URLSearchParams(location.search).has("test") || !scene || !layers) return undefined;
  const handle = {
    screenOf: (name: PlaneName, ijk: V3): [number, number] => {
      const box = document.querySelector(`[data-testid=over-${name}]`)?.getBoundingClientRect();
      const [x, y] = scene.toCanvas(name, toWorld(layers.frame, ijk));
      return [x + (box?.left ?? 0), y + (box?.top ?? 0)];
    },
    beside,
    store: useReading,
    view: useView,
    focus: () => useView.getState().focus,
    labelAt: (ijk: V3) => layers.labels?.at(ijk as Index) ?? null,
    count: (label: number) => layers.labels?.counts.get(label) ?? 0,
    shape: layers.frame.shape,
  };
  Object.assign(window, { panlesion: handle });
  return () => delete (window as { panlesion?: unknown }).panlesion;
}
