// The package subscribes with `fromBeginning: false`: a group without committed offsets misses what is sent before it
// has fetched for the first time. With offsets of 0 there is nothing to wait for.
import { Kafka, logLevel } from "kafkajs";

export async function fromTheBeginning(brokers, groupId, topics) {
  const admin = new Kafka({ brokers, clientId: groupId, logLevel: logLevel.ERROR }).admin();
  await admin.connect();
  for (const topic of topics) {
    const offsets = await admin.fetchTopicOffsets(topic);
    const partitions = offsets.map(({ partition }) => ({ partition, offset: "0" }));
    await admin.setOffsets({ groupId, topic, partitions });
  }
  await admin.disconnect();
}
