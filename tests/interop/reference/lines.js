// How the test talks to these programs: it asks and they answer in lines of JSON. See tests/src/interop/program.rs.
import { createInterface } from "node:readline";

/** What the test has given this program. */
export const given = JSON.parse(process.argv[2]);

// The package returns the promise of a reply only once Kafka has acknowledged the request. An error reply that is faster
// rejects a promise that nobody waits for yet, of which a Node process dies; with this it reaches its caller.
process.on("unhandledRejection", (reason) => console.error("rejected before it was waited for:", reason));

/** Says something of its own accord. */
export function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Answers questions, `{"id": 1, "ask": "<name>", ..}`, until there are no more. */
export function answer(questions) {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { id, ask, ...about } = JSON.parse(line);
    try {
      say({ id, result: await questions[ask](about) });
    } catch (error) {
      say({ id, error: described(error) });
    }
  });
  lines.on("close", () => process.exit());
  say({ ready: true });
}

/** Everything that an error of the package carries. */
function described(error) {
  const { name, message, code, statusCode, errorName, details } = error;
  return { kind: error.constructor.name, name, message, code, statusCode, errorName, cause: details?.originalError };
}
