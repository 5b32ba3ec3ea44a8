import { useState, type FormEvent, type ReactElement } from "react";
import { call, type Schemas } from "../api/client";
import { useLoaded } from "../api/loaded";
import { Dialog, Problem } from "../app/Dialog";
import { clock } from "../worklist/format";
import { useActing } from "./acting";

type Token = Schemas["TokenOut"];

/** One's own: what another viewer shows to the images in this account's name. */
export function Tokens(): ReactElement {
  const { data, problem, reload } = useLoaded<Token[]>("/api/tokens");
  const { busy, problem: trouble, act } = useActing();
  const [name, setName] = useState("");
  const [days, setDays] = useState(30);
  const [fresh, setFresh] = useState<Token | null>(null);
  const make = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    await act(async () => setFresh(await call<Token>("POST", "/api/tokens", { json: { name, days } })));
    setName("");
    reload();
  };
  const remove = async (token: Token): Promise<void> => {
    await act(() => call("DELETE", `/api/tokens/${token.id}`));
    reload();
  };
  return (
    <div className="stack">
      <p className="dim">A token lets another viewer read images over DICOMweb in your name, with your rights, until it expires or is deleted.</p>
      <form className="line" onSubmit={(event) => void make(event)} aria-label="New token">
        <input
          data-testid="token-name"
          aria-label="What the token is for"
          placeholder="What it is for"
          required
          maxLength={64}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <label className="line">
          days
          <input type="number" required min={1} max={365} value={days || ""} onChange={(event) => setDays(event.target.valueAsNumber || 0)} />
        </label>
        <button className="primary" data-testid="make-token" disabled={busy}>Make a token</button>
      </form>
      <Problem words={trouble} />
      <Problem words={problem} retry={reload} />
      {!data && !problem && <p className="dim">Loading…</p>}
      {data?.length === 0 && <p className="dim">No tokens.</p>}
      {data && data.length > 0 && (
        <table className="wide" aria-label="Tokens">
          <thead><tr><th>For</th><th>Made</th><th>Expires</th><th className="right">Actions</th></tr></thead>
          <tbody>
            {data.map((token) => (
              <tr key={token.id} data-testid="token">
                <td>{token.name}</td>
                <td>{clock(token.created_at)}</td>
                <td>{clock(token.expires_at)}{Date.parse(token.expires_at) < Date.now() && <span className="warn"> expired</span>}</td>
                <td className="right">
                  <button className="small" aria-label={`Delete ${token.name}`} disabled={busy} onClick={() => void remove(token)}>Delete</button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {fresh && (
        <Dialog title={`Token ${fresh.name}`} close={() => setFresh(null)}>
          <p>Copy it now: it is shown this once.</p>
          <p className="secret" data-testid="token-secret">{fresh.token}</p>
        </Dialog>
      )}
    </div>
  );
}
