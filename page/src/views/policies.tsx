/** The configuration as it is understood, and what it would do to a request or to the last ones. */
import { useState } from "preact/hooks";
import { getPolicies } from "../api";
import type { Policies, PolicyRow } from "../contract";
import { t } from "../language";
import { DryRunForm } from "../parts/dryrun";
import { ExplainForm } from "../parts/explain";
import { useLoaded } from "../parts/loaded";
import { Failed, Waiting } from "../parts/said";

export function PoliciesView() {
  const { data, error, again } = useLoaded((signal) => getPolicies(signal), []);
  return (
    <>
      <div class="head">
        <div>
          <h1>{t("policies")}</h1>
          <p>{t("policies.about")}</p>
        </div>
      </div>
      <Failed error={error} again={again} />
      {!data && !error && <Waiting />}
      {data && (
        <>
          <Routes policies={data} />
          <div class="grid-2">
            <Declared policies={data} />
            <Upstreams policies={data} />
          </div>
          <ExplainForm />
          <DryRunForm policies={data.policies} />
        </>
      )}
    </>
  );
}

function Routes({ policies }: { policies: Policies }) {
  return (
    <section class="sheet" aria-labelledby="routes">
      <h2 id="routes">{t("routes")}</h2>
      <p class="quiet small">{t("routes.about")}</p>
      <div class="scroll" tabIndex={0} role="region" aria-labelledby="routes">
        <table data-testid="routes">
          <thead>
            <tr>
              <th>{t("by.route")}</th>
              <th>{t("matches")}</th>
              <th>{t("by.policy")}</th>
              <th>{t("upstream")}</th>
            </tr>
          </thead>
          <tbody>
            {policies.routes.map((route, index) => (
              <tr key={index}>
                <td class="name">{route.name}</td>
                <td>
                  {route.matches.length === 0 ? (
                    <span class="quiet">{t("matches.all")}</span>
                  ) : (
                    route.matches.map((each) => <div key={each}>{each}</div>)
                  )}
                </td>
                <td>{route.policy}</td>
                <td>{route.upstream}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Declared({ policies }: { policies: Policies }) {
  // Those that a route uses come first: they are what happens.
  const sorted = [...policies.policies].sort((a, b) => b.routes.length - a.routes.length);
  return (
    <section class="sheet" aria-labelledby="declared">
      <h2 id="declared">{t("policies")}</h2>
      <ul class="stack" data-testid="policies">
        {sorted.map((policy) => (
          <li key={policy.name}>
            <Declaration policy={policy} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Declaration({ policy }: { policy: PolicyRow }) {
  const [all, show] = useState(false);
  return (
    <details>
      <summary>
        <strong class="ink">{policy.name}</strong> · {policy.compressor} · {policy.target}
        {policy.routes.length > 0 && ` · ${t("policies.used", { routes: policy.routes.join(", ") })}`}
      </summary>
      <pre tabIndex={0}>{all ? JSON.stringify(policy.settings, null, 2) : policy.yaml || t("policies.default")}</pre>
      <button type="button" class="bare small" onClick={() => show(!all)}>
        {t(all ? "policies.less" : "policies.all")}
      </button>
    </details>
  );
}

function Upstreams({ policies }: { policies: Policies }) {
  return (
    <section class="sheet" aria-labelledby="upstreams">
      <h2 id="upstreams">{t("upstreams")}</h2>
      <ul class="stack">
        {policies.upstreams.map((each) => (
          <li key={each.name}>
            <strong>{each.name}</strong> <span class="mono">{each.url}</span>
            <div class="small quiet">
              {t(each.key === "caller's" ? "upstream.callers" : "upstream.operators")}
              {each.models.length > 0 && ` · ${each.models.join(", ")}`}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
