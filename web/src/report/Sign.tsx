import { useEffect, useRef, useState, type FormEvent, type ReactElement } from "react";
import { call, get, type Change, type Reading } from "../api/client";
import { useReading } from "../store/reading";
import { signable } from "./words";

/** The signature: what is open is decided first, the password is the signature. */
export function Sign({ studyId, reading, close }: { studyId: string; reading: Reading; close: () => void }): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const { change, put, settled } = useReading();
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    field.current?.focus(); // not the button that accepts all: a key too many would be a decision
    return () => shown?.close();
  }, []);
  const { open, empty, accepted, rejected } = signable(reading);
  const decide = (decision: "accepted" | "rejected"): void =>
    void change(open.map((number) => ({ op: "decide", number, decision }) as Change));
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      if (!(await settled())) return setProblem(`Your last changes are not on the server yet. ${useReading.getState().problem}`);
      const now = signable(useReading.getState().reading ?? reading);
      if (now.open.length > 0 || now.empty.length > 0) return setProblem("Your last changes have left something to decide.");
      const version = useReading.getState().reading?.version ?? reading.version;
      await call("POST", `/api/studies/${studyId}/sign`, { json: { password }, headers: { "If-Match": `"${version}"` } });
      put(await get<Reading>(`/api/studies/${studyId}/reading`));
      close();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} onCancel={close} aria-label="Sign the report">
      <form onSubmit={(event) => void submit(event)}>
        <h2>Sign the report</h2>
        <p>
          {accepted} accepted, {rejected} rejected. What is signed cannot be changed any more; addenda can be added.
        </p>
        {open.length > 0 && (
          <p className="warn">
            Not decided yet: {open.join(", ")}.{" "}
            <button type="button" data-testid="accept-rest" onClick={() => decide("accepted")}>
              Accept them
            </button>{" "}
            <button type="button" data-testid="reject-rest" onClick={() => decide("rejected")}>
              Reject them
            </button>
          </p>
        )}
        {empty.length > 0 && <p className="warn">Accepted, but nothing is painted: {empty.join(", ")}. Paint or reject them.</p>}
        <label className="field">
          Your password, as your signature
          <input
            data-testid="sign-password"
            type="password"
            ref={field}
            required
            autoComplete="current-password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        </label>
        <p role="alert" className="bad">
          {problem}
        </p>
        <div className="actions">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button className="primary" data-testid="sign-confirm" disabled={busy || open.length > 0 || empty.length > 0}>
            {busy ? "Signing…" : "Sign"}
          </button>
        </div>
      </form>
    </dialog>
  );
}
