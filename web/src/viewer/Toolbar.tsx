import type { ReactElement } from "react";
import { Active } from "./Active";
import { WINDOWS, useView, type Tool } from "./view";

interface Props {
  act: (key: string) => void;
  undoable: number;
  redoable: number;
  editable: boolean;
  in3d: boolean;
  liveMl: ReadonlyMap<number, number>;
}

const TOOLS: { tool: Tool; words: string; key: string; edits: boolean }[] = [
  { tool: "cross", words: "Cross", key: "C", edits: false },
  { tool: "brush", words: "Brush", key: "D", edits: true },
  { tool: "erase", words: "Eraser", key: "E", edits: true },
  { tool: "point", words: "Point", key: "P", edits: true },
  { tool: "box", words: "Box", key: "B", edits: true },
  { tool: "length", words: "Length", key: "L", edits: true },
  { tool: "bidirectional", words: "RECIST", key: "R", edits: true },
  { tool: "roi", words: "Region", key: "Q", edits: true },
];

/** Tools, windows and steps; every button tells its key. */
export function Toolbar({ act, undoable, redoable, editable, in3d, liveMl }: Props): ReactElement {
  const view = useView();
  return (
    <div className="tools" role="toolbar" aria-label="Tools">
      {TOOLS.map(({ tool, words, key, edits }) => (
        <button
          key={tool}
          data-testid={`tool-${tool}`}
          className={view.tool === tool ? "on" : ""}
          aria-pressed={view.tool === tool}
          disabled={edits && !editable}
          title={`${words} (${key})`}
          onClick={() => act(key.toLowerCase())}
        >
          {words} <kbd>{key}</kbd>
        </button>
      ))}
      <span className="gap" />
      <Active liveMl={liveMl} />
      {["brush", "erase", "bucket"].includes(view.tool) && editable && <BrushBar act={act} />}
      <span className="spread" />
      <span className="looks">
        <Look on={view.slabMm > 0} words={view.slabMm > 0 ? `MIP ${view.slabMm}` : "MIP"} title="maximum over a slab: off, 5, 10, 20 mm" k="T" act={act} />
        <Look on={in3d} words="3D" title="3D in place of the sagittal plane" k="V" act={act} />
        <Look on={view.overlay} words="Masks" title="masks on, off" k="M" act={act} />
        <input
          type="range"
          className="opacity"
          data-testid="opacity"
          aria-label="opacity of the masks in percent"
          title={`masks ${Math.round(100 * view.opacity)} % (, .)`}
          min={0}
          max={100}
          step={5}
          value={Math.round(100 * view.opacity)}
          onChange={(event) => view.set({ opacity: Number(event.target.value) / 100, filled: true, overlay: true })}
        />
        <Look on={view.original} words="AI" title="the AI's own outline beside the edit" k="O" act={act} />
      </span>
      <button data-testid="undo" disabled={!editable || undoable === 0} onClick={() => act("undo")} title="Undo (Ctrl+Z)" aria-label={`Undo, ${undoable} steps`}>
        ↶ {undoable || ""}
      </button>
      <button data-testid="redo" disabled={!editable || redoable === 0} onClick={() => act("redo")} title="Redo (Ctrl+Y)" aria-label={`Redo, ${redoable} steps`}>
        ↷ {redoable || ""}
      </button>
      <select
        aria-label="window"
        value={Object.keys(WINDOWS).find((k) => WINDOWS[k]!.level === view.window.level && WINDOWS[k]!.width === view.window.width) ?? ""}
        onChange={(event) => {
          act(event.target.value);
          event.target.blur(); // the keys belong to the images again
        }}
      >
        <option value="" disabled>
          own window
        </option>
        {Object.entries(WINDOWS).map(([key, one]) => (
          <option key={key} value={key}>
            {key} {one.words}
          </option>
        ))}
      </select>
      <button onClick={() => act("?")} title="All keys (?)" aria-label="Help">
        ?
      </button>
    </div>
  );
}

function Look({ on, words, title, k, act }: { on: boolean; words: string; title: string; k: string; act: (key: string) => void }): ReactElement {
  return (
    <button className={on ? "on" : ""} aria-pressed={on} title={`${title} (${k})`} data-testid={`look-${k.toLowerCase()}`} onClick={() => act(k.toLowerCase())}>
      {words} <kbd>{k}</kbd>
    </button>
  );
}

/** What the brush is like; over the images, so that nothing moves when it is taken up. */
function BrushBar({ act }: { act: (key: string) => void }): ReactElement {
  const view = useView();
  return (
    <div className="brush" role="group" aria-label="Brush">
      <label className="dim">
        <span className="radius">{view.radiusMm.toFixed(1)} mm</span>
        <input
          type="range"
          aria-label="brush radius in mm"
          min={0.5}
          max={30}
          step={0.5}
          value={view.radiusMm}
          onChange={(event) => view.set({ radiusMm: Number(event.target.value) })}
        />
      </label>
      <button className={view.sphere ? "on" : ""} aria-pressed={view.sphere} title="ball instead of disc (G)" onClick={() => act("g")}>
        Ball <kbd>G</kbd>
      </button>
      <button className={view.range ? "on" : ""} aria-pressed={view.range !== null} title="paint only a range of HU, at first the window's (H)" onClick={() => act("h")}>
        HU range <kbd>H</kbd>
      </button>
      {view.range && <Range range={view.range} set={(range) => view.set({ range })} />}
      <button
        className={view.tool === "bucket" ? "on" : ""}
        aria-pressed={view.tool === "bucket"}
        data-testid="tool-bucket"
        title="fill an outline, or tissue of the range of HU, with a click (U)"
        onClick={() => act("u")}
      >
        Bucket <kbd>U</kbd>
      </button>
      <button title="fill holes in this slice (F)" onClick={() => act("f")}>
        Holes <kbd>F</kbd>
      </button>
      <button title="between painted slices (I)" onClick={() => act("i")}>
        Interpolate <kbd>I</kbd>
      </button>
    </div>
  );
}

/** The two ends of the range of HU that is painted. */
function Range({ range, set }: { range: [number, number]; set: (range: [number, number]) => void }): ReactElement {
  const end = (n: 0 | 1, label: string): ReactElement => (
    <input
      type="number"
      className="hu"
      aria-label={label}
      data-testid={n === 0 ? "hu-low" : "hu-high"}
      step={5}
      value={range[n]}
      onChange={(event) => {
        const value = event.target.valueAsNumber;
        if (Number.isFinite(value)) set(n === 0 ? [value, Math.max(value, range[1])] : [Math.min(value, range[0]), value]);
      }}
    />
  );
  return (
    <span className="dim">
      {end(0, "least HU that is painted")} to {end(1, "most HU that is painted")}
    </span>
  );
}
