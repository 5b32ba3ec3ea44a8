import type { ReactElement } from "react";
import { WINDOWS, useView, type Tool } from "./view";

interface Props {
  act: (key: string) => void;
  undoable: number;
  redoable: number;
  editable: boolean;
}

const TOOLS: { tool: Tool; words: string; key: string; edits: boolean }[] = [
  { tool: "cross", words: "Crosshair", key: "C", edits: false },
  { tool: "brush", words: "Brush", key: "D", edits: true },
  { tool: "erase", words: "Eraser", key: "E", edits: true },
  { tool: "point", words: "Point", key: "P", edits: true },
  { tool: "box", words: "Box", key: "B", edits: true },
  { tool: "length", words: "Length", key: "L", edits: true },
  { tool: "bidirectional", words: "RECIST", key: "R", edits: true },
  { tool: "roi", words: "Region", key: "Q", edits: true },
];

/** Tools, windows and steps; every button tells its key. */
export function Toolbar({ act, undoable, redoable, editable }: Props): ReactElement {
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
      {(view.tool === "brush" || view.tool === "erase") && (
        <>
          <label className="dim">
            {view.radiusMm.toFixed(1)} mm
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
          <button className={view.sphere ? "on" : ""} aria-pressed={view.sphere} onClick={() => act("g")}>
            Ball <kbd>G</kbd>
          </button>
          <button className={view.range ? "on" : ""} aria-pressed={view.range !== null} onClick={() => act("h")}>
            {view.range ? `${view.range[0]} to ${view.range[1]} HU` : "HU of window"} <kbd>H</kbd>
          </button>
          <button onClick={() => act("f")}>
            Fill <kbd>F</kbd>
          </button>
          <button onClick={() => act("i")}>
            Interpolate <kbd>I</kbd>
          </button>
        </>
      )}
      <span className="spread" />
      <button data-testid="undo" disabled={undoable === 0} onClick={() => act("undo")} title="Undo (Ctrl+Z)">
        Undo {undoable || ""}
      </button>
      <button data-testid="redo" disabled={redoable === 0} onClick={() => act("redo")} title="Redo (Ctrl+Y)">
        Redo {redoable || ""}
      </button>
      <select
        aria-label="window"
        value={Object.keys(WINDOWS).find((k) => WINDOWS[k]!.level === view.window.level && WINDOWS[k]!.width === view.window.width) ?? ""}
        onChange={(event) => act(event.target.value)}
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
