import { useState, type ReactElement } from "react";
import { Tokens } from "../admin/Tokens";
import { useSession } from "../store/session";
import { PasswordFields } from "./Login";

/** One's own account: the password, and tokens for other viewers. */
export function Account(): ReactElement {
  const user = useSession((session) => session.user);
  const [changed, setChanged] = useState(0);
  return (
    <main className="page">
      <h1 className="title">
        {user?.display_name} <span className="dim">{user?.name} · {user?.role}</span>
      </h1>
      <div className="stack">
        <section className="panel" aria-label="Password">
          <h2>Password</h2>
          <PasswordFields key={changed} done={() => setChanged(changed + 1)} />
          {changed > 0 && <p role="status" className="good">The password is changed; sessions elsewhere have ended.</p>}
        </section>
        <section className="panel" aria-label="Tokens for other viewers">
          <h2>Tokens for other viewers</h2>
          <Tokens />
        </section>
      </div>
    </main>
  );
}
