import { lazy, Suspense, useEffect, useState, type ReactElement } from "react";
import { useSession } from "../store/session";
import { Worklist } from "../worklist/Worklist";
import { ChangePassword, Login } from "./Login";
import { go, usePath } from "./route";

// Cornerstone3D is large; it comes with the first study that is opened.
const StudyView = lazy(() => import("../viewer/StudyView"));
const Import = lazy(() => import("../intake/Import"));
const Admin = lazy(() => import("../admin/Admin"));

export function App(): ReactElement {
  const { state, user, welcome, begin } = useSession();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    begin().catch((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
  }, [begin]);
  return (
    <div className="shell">
      <div className="banner" role="note">
        {welcome?.banner ?? "Research use only."}
      </div>
      {problem && state === "asking" ? (
        <p className="notice bad" role="alert">
          {problem}
        </p>
      ) : state === "in" && user ? (
        user.must_change ? (
          <ChangePassword />
        ) : (
          <Room />
        )
      ) : state === "anonymous" ? (
        <Login />
      ) : (
        <main className="login dim">Loading…</main>
      )}
    </div>
  );
}

function Room(): ReactElement {
  const { user, logOut } = useSession();
  const path = usePath();
  const role = user?.role;
  const study = /^\/study\/([0-9a-f-]{36})$/.exec(path)?.[1];
  const home = role === "admin" ? "/admin/users" : "/worklist";
  useEffect(() => {
    if (path === "/") history.replaceState(null, "", home);
  }, [path, home]);
  return (
    <>
      <nav className="bar" aria-label="Pages">
        <span className="name">panlesion</span>
        {role !== "admin" && <Tab path="/worklist" now={path} words="Worklist" />}
        {role !== "admin" && <Tab path="/import" now={path} words="Import" />}
        {role !== "reader" && <Tab path="/admin/nodes" now={path} words="Administration" prefix="/admin" />}
        <span id="bar-slot" className="spread" />
        <span className="dim">
          {user?.display_name} · {role}
        </span>
        <button className="plain" onClick={() => go("/password")}>
          Password
        </button>
        <button className="plain" data-testid="log-out" onClick={() => void logOut()}>
          Log out
        </button>
      </nav>
      <Suspense fallback={<main className="page dim">Loading…</main>}>
        {study ? (
          <StudyView key={study} studyId={study} />
        ) : path === "/import" ? (
          <Import />
        ) : path.startsWith("/admin") ? (
          <Admin topic={path.slice("/admin/".length)} />
        ) : path === "/password" ? (
          <ChangePassword done={() => go(home)} />
        ) : path === "/worklist" || path === "/" ? (
          <Worklist />
        ) : (
          <main className="page">
            <p className="notice">
              There is no page {path}. <button onClick={() => go(home)}>Go to the start</button>
            </p>
          </main>
        )}
      </Suspense>
    </>
  );
}

function Tab({ path, now, words, prefix = path }: { path: string; now: string; words: string; prefix?: string }): ReactElement {
  const here = now.startsWith(prefix);
  return (
    <button className={here ? "on" : "plain"} aria-current={here ? "page" : undefined} onClick={() => go(path)}>
      {words}
    </button>
  );
}
