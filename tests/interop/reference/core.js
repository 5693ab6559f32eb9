// The core of the package without NestJS: its errors keep status and name, and it has what the modules do not wire in,
// retries and dead letters. The package does not export it, so it is imported by its path.
//
// node core.js '{"brokers": [..], "clientId": "..", "replies": "..", "letters": [..], "retry": {..}}'
import { LoggerService } from "@makebelieve21213-packages/logger";

import { answer, given, say } from "./lines.js";
import KafkaCore from "./node_modules/@makebelieve21213-packages/kafka-client/dist/core/kafka.core.js";

const { brokers, clientId, replies, letters, retry } = given;

const core = new KafkaCore(
  {
    kafka: { brokers, clientId, logLevel: 1 },
    requestReply: { groupId: `${clientId}-request-reply` },
    retry,
    dlq: letters && { groupId: `${clientId}-letters`, onMessage: async (letter) => say({ letter: inText(letter) }) },
  },
  new LoggerService(),
);
await core.connect();
if (replies) {
  await core.initRequestReply([replies]).startListening();
}
if (letters) {
  await core.dlqHandler.start(letters);
}

answer({
  async call({ topic, message, timeout, headers }) {
    const data = await core.requestReply.send(topic, replies, message, timeout, headers);
    return { type: typeof data, data };
  },
  event: ({ topic, message, headers }) => core.fireAndForget.send(topic, message, headers),
  events: ({ topic, messages }) => core.fireAndForget.sendBatch(topic, messages),
  /** Fails every record of a topic, as a service would that has the package's retries. */
  async fail({ topic, group, error }) {
    const consumer = core.createConsumer(group);
    await consumer.connect();
    await consumer.subscribe({ topics: [topic] });
    await consumer.run({
      eachMessage: async ({ message }) => {
        await core.retryHandler.handleError(topic, message, new Error(error));
      },
    });
  },
});

/** What a dead letter is, with its bytes in base64. */
function inText({ message: { key, value, headers }, ...rest }) {
  const texts = Object.entries(headers).map(([name, bytes]) => [name, bytes.toString()]);
  return { ...rest, key: key?.toString("base64"), value: value?.toString("base64"), headers: Object.fromEntries(texts) };
}
