import type { ReactElement } from "react";
import type { Study } from "../api/client";
import { go } from "../app/route";
import type { Opened } from "./study";

/** What stands where the images will be: on its way, failed, or not there. */
export function Waiting({ opened, begin, again }: { opened: Opened; begin: () => void; again: () => void }): ReactElement {
  const { study, problem } = opened;
  if (problem)
    return (
      <div className="notice" role="alert">
        <p className="bad">{problem}</p>
        <button onClick={again}>Try again</button> <button onClick={() => go("/worklist")}>Back to the worklist</button>
      </div>
    );
  if (!study) return <p className="notice dim">Loading…</p>;
  if (study.grid) return <p className="notice dim">Loading the images…</p>;
  return (
    <div className="notice" role="status">
      <p>{wordsOf(study)}</p>
      {study.primary_series && study.state === "failed" && <button onClick={begin}>Read it without the AI</button>}
    </div>
  );
}

function wordsOf(study: Study): string {
  if (study.state === "failed") return `The analysis failed: ${study.problem}`;
  if (study.state === "arriving") return "Images are still arriving; the analysis begins when no more come.";
  const far = study.progress == null ? "" : `, ${Math.round(100 * study.progress)} %`;
  return `The analysis is ${study.state}${far}. The images come up here when it is done.`;
}

/** How much of the CT is there, as a thin line: it can be looked at from the first image on. */
export function Arriving({ opened }: { opened: Opened }): ReactElement | null {
  const { frame, loaded, complete, problem } = opened;
  if (!frame || complete || problem) return null;
  const planes = frame.shape[2];
  return (
    <div className="arriving" data-testid="arriving">
      <progress max={planes} value={loaded} aria-label="images loaded" />
      <span className="dim">{loaded < planes ? `${loaded} of ${planes} images` : "making ready…"}</span>
    </div>
  );
}
