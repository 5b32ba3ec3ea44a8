import { lazy, Suspense, useEffect, useState, type ReactElement } from "react";
import { useSession } from "../store/session";
import { Worklist } from "../worklist/Worklist";
import { Account } from "./Account";
import { ChangePassword, Login } from "./Login";
import { go, settle, usePath } from "./route";

// Cornerstone3D is large; it comes with the first study that is opened.
const StudyView = lazy(() => import("../viewer/StudyView"));
const Import = lazy(() => import("../intake/Import"));
const Admin = lazy(() => import("../admin/Admin"));

export function App(): ReactElement {
  const { state, user, welcome, begin } = useSession();
  const [problem, setProblem] = useState("");
  const start = (): void => {
    setProblem("");
    begin().catch((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
  };
  useEffect(start, [begin]);
  return (
    <div className="shell">
      <header className="banner">{welcome?.banner ?? "Research use only. Not a medical device; not for diagnosis or treatment."}</header>
      {problem && state === "asking" ? (
        <main className="login">
          <p className="notice bad" role="alert">
            {problem} <button onClick={start}>Try again</button>
          </p>
        </main>
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

/** What the tab of the browser says; never who a patient is. */
const titleOf = (path: string): string =>
  ({ worklist: "Worklist", study: "Study", import: "Import", admin: "Administration", account: "Account" })[path.split("/")[1] ?? ""] ?? "Reading room";

function Room(): ReactElement {
  const { user, logOut } = useSession();
  const asked = usePath();
  const role = user?.role;
  const home = role === "admin" ? "/admin/users" : "/worklist";
  const path = asked === "/" ? home : asked;
  const study = /^\/study\/([0-9a-f-]{36})$/.exec(path)?.[1];
  useEffect(() => {
    if (asked !== path) settle(path);
    document.title = `${titleOf(path)} · panlesion`;
  }, [asked, path]);
  const leave = async (): Promise<void> => {
    await logOut();
    // whoever comes next begins at their own start
    settle("/");
    document.title = "panlesion";
  };
  return (
    <>
      <nav className="bar" aria-label="Pages">
        <span className="name">panlesion</span>
        {role === "admin" && <Tab path="/admin/users" now={path} words="Administration" prefix="/admin" />}
        <Tab path="/worklist" now={path} words="Worklist" />
        {role !== "admin" && <Tab path="/import" now={path} words="Import" />}
        {role === "manager" && <Tab path="/admin/nodes" now={path} words="PACS" prefix="/admin" />}
        <span id="bar-slot" className="spread" />
        <Tab path="/account" now={path} words={`${user?.display_name} · ${role}`} title="Your password, and tokens for other viewers" />
        <button className="plain" data-testid="log-out" onClick={() => void leave()}>
          Log out
        </button>
      </nav>
      <Suspense fallback={<main className="page dim">Loading…</main>}>
        {study ? (
          <StudyView key={study} studyId={study} />
        ) : path === "/import" ? (
          <Import />
        ) : path.startsWith("/admin/") ? (
          <Admin topic={path.slice("/admin/".length)} />
        ) : path === "/account" ? (
          <Account />
        ) : path === "/worklist" ? (
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

interface TabOf {
  path: string;
  now: string;
  words: string;
  prefix?: string;
  title?: string;
}

function Tab({ path, now, words, prefix = path, title }: TabOf): ReactElement {
  const here = now.startsWith(prefix);
  return (
    <button className={here ? "on" : "plain"} aria-current={here ? "page" : undefined} title={title} onClick={() => go(path)}>
      {words}
    </button>
  );
}
