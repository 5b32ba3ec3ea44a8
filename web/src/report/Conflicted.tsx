import { useEffect, useRef, type ReactElement } from "react";
import { useReading, type Conflict } from "../store/reading";

/** Two windows changed one reading: nothing is overwritten until the reader says which. */
export function Conflicted({ conflict }: { conflict: Conflict }): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const { takeTheirs, keepMine } = useReading();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-label="Changed elsewhere" data-testid="conflict" onCancel={(event) => event.preventDefault()}>
      <h2>Changed in another window</h2>
      <p>
        {conflict.by ? `${conflict.by} has changed` : "Someone has changed"} this reading meanwhile (version {conflict.version}). Both are kept
        in the study's versions. Which one shall go on?
      </p>
      <div className="actions">
        <button data-testid="take-theirs" onClick={() => void takeTheirs()}>
          Take theirs, drop my last change
        </button>
        <button className="primary" data-testid="keep-mine" onClick={() => void keepMine()}>
          Lay my last change on top
        </button>
      </div>
    </dialog>
  );
}
