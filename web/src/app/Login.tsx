import { useEffect, useState, type FormEvent, type ReactElement } from "react";
import { useSession } from "../store/session";
import { settle, usePath } from "./route";

/** Why a login by the identity provider opened nothing, as the server names it in `/?login=…`. */
const REFUSALS = new Map(Object.entries({
  unreachable: "Your institution's login does not answer, or is not set up for this server. Try again later, or tell an administrator.",
  denied: "Your institution refused the login, or you cancelled it there.",
  "not-begun": "That login was begun in another browser, or more than ten minutes ago. Begin again.",
  invalid: "What your institution sent does not prove who you are. Begin again; if it stays so, tell an administrator.",
  "no-account": "Your institution knows you, but you have no role here, or your account is not active. Ask an administrator.",
}));

const named = (): string | null => new URLSearchParams(location.search).get("login");

const refusal = (): string => {
  const told = named();
  return told === null ? "" : (REFUSALS.get(told) ?? "That login was refused. Begin again.");
};

/** Name and password; a first password is changed before anything else. */
export function Login(): ReactElement {
  const { welcome, logIn } = useSession();
  const path = usePath();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState(refusal);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    // told once: a reload is a fresh start
    if (named() !== null) settle(location.pathname);
  }, []);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await logIn(name, password);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="login">
      <form className="card" onSubmit={(event) => void submit(event)} aria-label="Log in">
        <h1>panlesion reading room</h1>
        {path !== "/" && <p className="dim">Log in to go on where you were.</p>}
        <label className="field">
          Name
          <input data-testid="name" autoFocus autoComplete="username" value={name} onChange={(e) => setName(e.target.value)} required />
        </label>
        <label className="field">
          Password
          <input
            data-testid="password"
            type="password"
            autoComplete="current-password"
            value={password}
            onChange={(e) => setPassword(e.target.value)}
            required
          />
        </label>
        <button className="primary" data-testid="log-in" disabled={busy}>
          Log in
        </button>
        {welcome?.oidc && <a href="/api/oidc/login">Log in with your institution</a>}
        <p role="alert" className="bad">
          {problem}
        </p>
        <p className="dim">panlesion {welcome?.version}</p>
      </form>
    </main>
  );
}

const LEAST = 12;

/** A first password is not for long. */
export function ChangePassword(): ReactElement {
  return (
    <main className="login">
      <section className="card" aria-label="First password">
        <h1>Choose a password of your own</h1>
        <PasswordFields focus />
      </section>
    </main>
  );
}

export function PasswordFields({ done, focus = false }: { done?: () => void; focus?: boolean }): ReactElement {
  const { changePassword } = useSession();
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (fresh.length < LEAST) return setProblem(`A password has at least ${LEAST} characters; this one has ${fresh.length}.`);
    if (fresh !== again) return setProblem("The two new passwords differ.");
    setBusy(true);
    setProblem("");
    try {
      await changePassword(old, fresh);
      done?.();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} aria-label="Change password" className="form narrow">
      <label className="field">
        Present password
        <input data-testid="old" type="password" autoFocus={focus} autoComplete="current-password" required value={old} onChange={(e) => setOld(e.target.value)} />
      </label>
      <label className="field">
        New password (at least {LEAST} characters)
        <input data-testid="new" type="password" autoComplete="new-password" required value={fresh} onChange={(e) => setFresh(e.target.value)} />
      </label>
      <label className="field">
        New password again
        <input data-testid="again" type="password" autoComplete="new-password" required value={again} onChange={(e) => setAgain(e.target.value)} />
      </label>
      <button className="primary" data-testid="change" disabled={busy}>
        Change
      </button>
      <p role="alert" className="bad">
        {problem}
      </p>
    </form>
  );
}
