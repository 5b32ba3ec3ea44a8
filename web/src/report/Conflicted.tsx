import { useEffect, useRef, useState, type ReactElement } from "react";
import { useReading, type Conflict } from "../store/reading";
import { clock } from "../worklist/format";

/** Two windows changed one reading: nothing is overwritten until the reader says which. */
export function Conflicted({ conflict }: { conflict: Conflict }): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const { takeTheirs, keepMine } = useReading();
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    dialog.current?.showModal();
    dialog.current?.focus(); // it comes unasked: the next key of a text being typed must press no button
  }, []);
  const decide = async (how: () => Promise<void>): Promise<void> => {
    setProblem("");
    setBusy(true);
    try {
      await how();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      aria-label="Changed elsewhere"
      data-testid="conflict"
      onCancel={(event) => event.preventDefault()}
      onClose={() => dialog.current?.showModal()} // a second Escape closes whatever was prevented
    >
      <h2>Changed in another window</h2>
      <p>
        {conflict.by ? `${conflict.by} has changed` : "Someone has changed"} this reading meanwhile {conflict.at && ` at ${clock(conflict.at)}`} (now version {conflict.version}). Every saved
        version is kept; what you changed last is only here yet. How shall it go on?
      </p>
      {problem && (
        <p role="alert" className="bad">
          {problem}
        </p>
      )}
      <div className="actions">
        <button data-testid="take-theirs" disabled={busy} onClick={() => void decide(takeTheirs)}>
          Take theirs, drop my last change
        </button>
        <button className="primary" data-testid="keep-mine" disabled={busy} onClick={() => void decide(keepMine)}>
          Lay my last change on top
        </button>
      </div>
    </dialog>
  );
}
