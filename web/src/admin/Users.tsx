import { useState, type FormEvent, type ReactElement } from "react";
import { call, type Schemas, type User } from "../api/client";
import { useLoaded } from "../api/loaded";
import { Dialog, Problem } from "../app/Dialog";
import { useSession } from "../store/session";
import { useActing } from "./acting";

const ROLES: readonly Schemas["Role"][] = ["reader", "manager", "admin"];

const MAY: Readonly<Record<Schemas["Role"], string>> = {
  reader: "Reads, edits, signs, exports, uploads.",
  manager: "Brings studies in, says who sees which, deletes; signs nothing.",
  admin: "Accounts, PACS, audit log; no images unless granted.",
};

export function Users(): ReactElement {
  const { data, problem, reload } = useLoaded<User[]>("/api/users");
  const provider = useSession((session) => session.welcome?.oidc);
  const [edited, setEdited] = useState<User | "new" | null>(null);
  return (
    <div className="stack">
      <div className="line">
        <button className="primary" data-testid="new-user" onClick={() => setEdited("new")}>New account…</button>
        <span className="dim">
          {data ? `${data.length} ${data.length === 1 ? "account" : "accounts"}.` : ""}
          {provider && " Whoever the identity provider lets in gets an account with the first login."}
        </span>
      </div>
      <Problem words={problem} retry={reload} />
      {!data && !problem && <p className="dim">Loading…</p>}
      {data && (
        <table className="wide" aria-label="Accounts">
          <thead><tr><th>Name</th><th>Shown as</th><th>Role</th><th>State</th><th className="right">Actions</th></tr></thead>
          <tbody>
            {data.map((user) => (
              <tr key={user.id} className={user.active ? undefined : "dim"} data-testid="user">
                <td>{user.name}</td>
                <td>{user.display_name}</td>
                <td>{user.role}</td>
                <td>{!user.active ? "deactivated" : user.must_change ? "must change password" : "active"}</td>
                <td className="right">
                  <button className="small" aria-label={`Change ${user.name}`} onClick={() => setEdited(user)}>Change…</button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {edited && <Edit user={edited === "new" ? null : edited} close={() => setEdited(null)} done={reload} />}
    </div>
  );
}

function Edit({ user, close, done }: { user: User | null; close: () => void; done: () => void }): ReactElement {
  const { busy, problem, act } = useActing();
  const [name, setName] = useState("");
  const [shown, setShown] = useState(user?.display_name ?? "");
  const [role, setRole] = useState<Schemas["Role"]>(user?.role ?? "reader");
  const [active, setActive] = useState(user?.active ?? true);
  const [password, setPassword] = useState("");
  const save = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const change: Schemas["UserChangeIn"] = {
      ...(shown !== user?.display_name && { display_name: shown }),
      ...(role !== user?.role && { role }),
      ...(active !== user?.active && { active }),
      ...(password && { password }),
    };
    const made: Schemas["UserIn"] = { name, display_name: shown, role, password };
    const worked = await act(() => (user ? call("PATCH", `/api/users/${user.id}`, { json: change }) : call("POST", "/api/users", { json: made })));
    if (!worked) return;
    done();
    close();
  };
  return (
    <Dialog
      title={user ? `Account ${user.name}` : "New account"}
      close={close}
      actions={<button className="primary" form="user" data-testid="save" disabled={busy}>Save</button>}
    >
      <form id="user" className="form" onSubmit={(event) => void save(event)}>
        <Problem words={problem} />
        {!user && (
          <label className="field">Name (letters, digits and . _ @ -)
            <input
              name="name"
              required
              maxLength={64}
              pattern="[a-zA-Z0-9._@\-]+"
              autoComplete="off"
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          </label>
        )}
        <label className="field">Shown as
          <input name="display_name" required maxLength={128} value={shown} onChange={(event) => setShown(event.target.value)} />
        </label>
        <label className="field">Role
          <select name="role" value={role} onChange={(event) => setRole(event.target.value as Schemas["Role"])}>
            {ROLES.map((one) => <option key={one}>{one}</option>)}
          </select>
          <span>{MAY[role]}</span>
        </label>
        <label className="field">{user ? "New password (empty keeps the present one)" : "First password"}, at least 12 characters; it is changed at the next login
          <input
            name="new-password"
            type="password"
            autoComplete="new-password"
            required={!user}
            minLength={12}
            maxLength={256}
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        </label>
        {user && (
          <label className="line">
            <input type="checkbox" checked={active} onChange={(event) => setActive(event.target.checked)} /> Active: may log in
          </label>
        )}
        {user && <p className="dim">A change ends the sessions of this account.</p>}
      </form>
    </Dialog>
  );
}
