// json-rules-engine, timed in Node: one JSON line {rules, events, conditions, facts} in, {ns, matches} out.
import { createInterface } from "node:readline";
import { Engine } from "json-rules-engine";

const operators = { eq: "equal", gte: "greaterThanInclusive", lt: "lessThan", contains: "contains" };

function translate(condition) {
  if (condition.all) return { all: condition.all.map(translate) };
  if (condition.any) return { any: condition.any.map(translate) };
  if (condition.not) return { not: translate(condition.not) };
  const { fact, op, value } = condition;
  if (op === "between") {
    return { all: [
      { fact, operator: "greaterThanInclusive", value: value[0] },
      { fact, operator: "lessThanInclusive", value: value[1] },
    ] };
  }
  return { fact, operator: operators[op], value };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { conditions, facts } = JSON.parse(line);
  const engine = new Engine();
  conditions.forEach((condition, nth) => {
    engine.addRule({ conditions: { all: [translate(condition)] }, event: { type: String(nth) } });
  });
  const ns = [], matches = [];
  for (const event of facts) {
    const started = process.hrtime.bigint();
    const { events } = await engine.run(event);
    ns.push(Number(process.hrtime.bigint() - started));
    matches.push(events.map((found) => Number(found.type)).sort((a, b) => a - b));
  }
  console.log(JSON.stringify({ ns, matches }));
}
