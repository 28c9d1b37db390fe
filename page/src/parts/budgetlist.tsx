/** The budgets in force: declared, changed and ended at run time. */
import { useState } from "preact/hooks";
import { endBudget, setBudget, type Budget } from "../api";
import type { Levels } from "../contract";
import { count, money } from "../format";
import { inner, named, t } from "../language";
import { Budgets } from "./budgets";
import { BudgetForm, NEW_BUDGET } from "./budgetform";
import { Confirm } from "./controls";
import { Empty, Failed } from "./said";

type Open = { what: "edit"; budget: Budget; fresh: boolean } | { what: "save" | "end"; budget: Budget };

export function limit(budget: Budget): string {
  const amount = Number(budget.limit);
  return budget.unit === "money" ? money(amount * 1e9) : `${count(amount)} ${named("unit", budget.unit)}`;
}

/** `team research, model gpt-4o*` */
export function whom(budget: Budget): string {
  const set = Object.entries(budget.match).filter(([, glob]) => glob);
  return set.map(([scope, glob]) => `${inner("by", scope)} ${glob}`).join(", ") || t("budgets.everybody");
}

export function BudgetList(given: {
  budgets: readonly Budget[];
  levels: Levels | undefined;
  changed: () => void;
}) {
  const [open, show] = useState<Open>();
  const close = () => show(undefined);
  const done = () => {
    close();
    given.changed();
  };
  return (
    <section class="sheet" aria-labelledby="budget-list">
      <div class="row spread">
        <h2 id="budget-list">{t("budgets")}</h2>
        <button type="button" class="main" onClick={() => show({ what: "edit", budget: NEW_BUDGET, fresh: true })}>
          {t("budgets.new")}
        </button>
      </div>
      {given.budgets.length === 0 ? (
        <Empty title={t("budgets.none")}>
          <p>{t("budgets.none.here")}</p>
        </Empty>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-labelledby="budget-list">
          <table data-testid="budgets">
            <thead>
              <tr>
                <th>{t("name")}</th>
                <th>{t("limit")}</th>
                <th class="wide">{t("budgets.for")}</th>
                <th class="wide">{t("steps")}</th>
                <th>
                  <span class="unseen">{t("actions")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {given.budgets.map((budget) => (
                <tr key={budget.name}>
                  <td>{budget.name}</td>
                  <td>
                    {limit(budget)}
                    <div class="small quiet">
                      {named("window.each", budget.window)}
                      {budget.each && ` · ${t("budgets.each", { scope: inner("by", budget.each) })}`}
                    </div>
                  </td>
                  <td class="wide">{whom(budget)}</td>
                  <td class="wide">{Object.keys(budget.at).join(", ") || t("none")}</td>
                  <td>
                    <div class="row actions">
                      <button
                        type="button"
                        aria-label={t("budgets.edit.named", { name: budget.name })}
                        onClick={() => show({ what: "edit", budget, fresh: false })}
                      >
                        {t("change")}
                      </button>
                      <button
                        type="button"
                        class="grave"
                        aria-label={t("budgets.end.named", { name: budget.name })}
                        onClick={() => show({ what: "end", budget })}
                      >
                        {t("budgets.end")}
                      </button>
                    </div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {given.levels && given.levels.levels.length > 0 && (
        <>
          <h3>{t("budgets.levels")}</h3>
          <Budgets levels={given.levels} />
        </>
      )}
      {open?.what === "edit" && (
        <BudgetForm
          budget={open.budget}
          fresh={open.fresh}
          close={close}
          next={(budget) => show({ what: "save", budget })}
        />
      )}
      {open?.what === "save" && (
        <Save
          budget={open.budget}
          before={given.budgets.find((each) => each.name === open.budget.name)}
          close={close}
          done={done}
        />
      )}
      {open?.what === "end" && <End budget={open.budget} close={close} done={done} />}
    </section>
  );
}

function Save(given: { budget: Budget; before: Budget | undefined; close: () => void; done: () => void }) {
  const { budget, before } = given;
  const [failed, fail] = useState<Error>();
  const [busy, work] = useState(false);
  const confirm = () => {
    work(true);
    setBudget(budget)
      .then(given.done, fail)
      .finally(() => work(false));
  };
  return (
    <Confirm
      title={t(before ? "budgets.save.title" : "budgets.new.title", { name: budget.name })}
      action={t(before ? "change" : "budgets.create")}
      busy={busy}
      close={given.close}
      confirm={confirm}
    >
      <dl class="facts">
        <dt>{t("limit")}</dt>
        <dd>
          {before && limit(before) !== limit(budget) && <del class="text-cut">{limit(before)}</del>} {limit(budget)}{" "}
          {named("window.each", budget.window)}
        </dd>
        <dt>{t("budgets.for")}</dt>
        <dd>{whom(budget)}</dd>
        <dt>{t("steps")}</dt>
        <dd>{Object.keys(budget.at).join(", ") || t("none")}</dd>
      </dl>
      <p class="quiet small">{t("budgets.save.about")}</p>
      <Failed error={failed} />
    </Confirm>
  );
}

function End({ budget, close, done }: { budget: Budget; close: () => void; done: () => void }) {
  const [failed, fail] = useState<Error>();
  const [busy, work] = useState(false);
  const confirm = () => {
    work(true);
    endBudget(budget.name)
      .then(done, fail)
      .finally(() => work(false));
  };
  return (
    <Confirm
      title={t("budgets.end.title", { name: budget.name })}
      action={t("budgets.end")}
      grave
      busy={busy}
      close={close}
      confirm={confirm}
    >
      <p>{t("budgets.end.about")}</p>
      <Failed error={failed} />
    </Confirm>
  );
}
