import type { ReactElement } from "react";
import { go } from "../app/route";
import { useSession } from "../store/session";
import { Audit } from "./Audit";
import { Nodes } from "./Nodes";
import { Users } from "./Users";

const TOPICS: Record<string, { words: string; roles: readonly string[]; show: () => ReactElement }> = {
  users: { words: "Accounts", roles: ["admin"], show: () => <Users /> },
  nodes: { words: "PACS", roles: ["admin", "manager"], show: () => <Nodes /> },
  audit: { words: "Audit log", roles: ["admin"], show: () => <Audit /> },
};

export default function Admin({ topic = "" }: { topic?: string }): ReactElement {
  const role = useSession((session) => session.user?.role) ?? "";
  const here = Object.hasOwn(TOPICS, topic) ? TOPICS[topic] : undefined;
  return (
    <main className="page">
      <h1 className="unseen">Administration</h1>
      <div className="tabs" role="group" aria-label="Administration">
        {Object.entries(TOPICS)
          .filter(([, one]) => one.roles.includes(role))
          .map(([key, one]) => (
            <button
              key={key}
              className={key === topic ? "on" : "plain"}
              aria-current={key === topic ? "page" : undefined}
              onClick={() => go(`/admin/${key}`)}
            >
              {one.words}
            </button>
          ))}
      </div>
      {!here ? (
        <p className="notice">There is no such page.</p>
      ) : here.roles.includes(role) ? (
        here.show()
      ) : (
        <p className="notice" role="alert">A {role} may not see this page. It is for: {here.roles.join(", ")}.</p>
      )}
    </main>
  );
}
