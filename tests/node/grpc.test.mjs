// The gRPC client of Milvus's Node SDK against the real program at ELANUS_URL, which asks for passwords.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ConsistencyLevelEnum, DataType, ErrorCode, MilvusClient, RRFRanker, WeightedRanker } from "@zilliz/milvus2-sdk-node";

const address = process.env.ELANUS_URL;
const database = `grpc_${process.pid}`;
const client = new MilvusClient({ address, token: "root:Milvus", logLevel: "error" });
const photos = "photos";

// A call that went well, whatever the place of its status.
const ok = async (promise) => {
  const answer = await promise;
  const status = answer.status ?? answer;
  assert.equal(status.error_code, ErrorCode.SUCCESS, JSON.stringify(status));
  assert.ok(!status.code, JSON.stringify(status));
  return answer;
};
const refused = async (code, call) => {
  let status;
  try {
    const answer = await call();
    status = answer.status ?? answer;
  } catch (error) {
    status = error;
  }
  assert.notEqual(status.error_code, ErrorCode.SUCCESS, JSON.stringify(status));
  if (code && status.code !== undefined) assert.equal(Number(status.code), code, JSON.stringify(status));
};
const rows = Array.from({ length: 60 }, (_, i) => ({
  id: i, image: [i, 0, 0, 1], words: { [i]: 1, 100: 0.5 }, label: i % 2 ? "cat" : "dog", info: { deep: [i, { i }] }, tags: [`t${i % 3}`], extra: i * 2,
}));

before(async () => {
  await client.connectPromise;
  await ok(client.createDatabase({ db_name: database }));
  await client.use({ db_name: database });
});
after(async () => {
  for (const { name } of (await client.showCollections()).data) await client.dropCollection({ collection_name: name });
  await client.use({ db_name: "default" });
  await ok(client.dropDatabase({ db_name: database }));
  await client.closeConnection();
});

test("the server tells its version and health", async () => {
  assert.match((await ok(client.getVersion())).version, /^v?[23]\./);
  assert.equal((await client.checkHealth()).isHealthy, true);
});

test("a collection with its indexes", async () => {
  await ok(client.createCollection({
    collection_name: photos,
    consistency_level: ConsistencyLevelEnum.Strong,
    enable_dynamic_field: true,
    fields: [
      { name: "id", data_type: DataType.Int64, is_primary_key: true, autoID: false },
      { name: "image", data_type: DataType.FloatVector, dim: 4 },
      { name: "words", data_type: DataType.SparseFloatVector },
      { name: "label", data_type: DataType.VarChar, max_length: 20 },
      { name: "info", data_type: DataType.JSON },
      { name: "tags", data_type: DataType.Array, element_type: DataType.VarChar, max_capacity: 4, max_length: 10 },
    ],
  }));
  assert.equal((await ok(client.hasCollection({ collection_name: photos }))).value, true);
  assert.equal((await ok(client.hasCollection({ collection_name: "none" }))).value, false);
  await ok(client.createIndex([
    { collection_name: photos, field_name: "image", index_name: "by_image", index_type: "HNSW", metric_type: "L2", params: { M: 8, efConstruction: 64 } },
    { collection_name: photos, field_name: "words", index_name: "by_words", index_type: "SPARSE_INVERTED_INDEX", metric_type: "IP" },
  ]));
  const indexes = await ok(client.describeIndex({ collection_name: photos }));
  assert.deepEqual(indexes.index_descriptions.map((i) => [i.field_name, i.index_name]).sort(), [["image", "by_image"], ["words", "by_words"]]);
  assert.deepEqual((await ok(client.listIndexes({ collection_name: photos }))).indexes.sort(), ["by_image", "by_words"]);
  await ok(client.loadCollectionSync({ collection_name: photos }));
  assert.equal((await ok(client.getLoadState({ collection_name: photos }))).state, "LoadStateLoaded");
  const about = await ok(client.describeCollection({ collection_name: photos }));
  assert.deepEqual(about.schema.fields.map((f) => f.name), ["id", "image", "words", "label", "info", "tags"]);
  assert.equal(about.schema.enable_dynamic_field, true);
  assert.ok((await ok(client.showCollections())).data.some((c) => c.name === photos));
});

test("rows come, are found, change and go", async () => {
  const inserted = await ok(client.insert({ collection_name: photos, data: rows }));
  assert.equal(Number(inserted.insert_cnt), 60);
  await ok(client.flushSync({ collection_names: [photos] }));
  assert.equal(Number((await ok(client.getCollectionStatistics({ collection_name: photos }))).data.row_count), 60);
  assert.equal(Number((await ok(client.count({ collection_name: photos }))).data), 60);
  const got = await ok(client.query({ collection_name: photos, filter: "label == 'cat' and extra < 10", output_fields: ["label", "info", "tags", "extra", "words"] }));
  assert.deepEqual(got.data.map((r) => Number(r.id)).sort(), [1, 3]);
  // This client leaves undeclared keys of queries where they travel.
  assert.deepEqual([got.data[0].label, got.data[0].info, got.data[0].tags, got.data[0].$meta.extra], ["cat", rows[1].info, ["t1"], 2]);
  assert.deepEqual((await ok(client.get({ collection_name: photos, ids: [5], output_fields: ["image"] }))).data[0].image, [5, 0, 0, 1]);
  const found = await ok(client.search({ collection_name: photos, anns_field: "image", data: [7.1, 0, 0, 1], limit: 3, filter: "tags[0] == 't1'", output_fields: ["id", "label", "extra"], params: { ef: 64 } }));
  assert.deepEqual(found.results.map((hit) => Number(hit.id)), [7, 10, 4]);
  assert.deepEqual([found.results[0].label, found.results[0].extra], ["cat", 14]);
  assert.ok(Math.abs(found.results[0].score - 0.01) < 1e-4);
  const two = await ok(client.search({ collection_name: photos, anns_field: "image", data: [[0, 0, 0, 1], [59, 0, 0, 1]], limit: 2 }));
  assert.deepEqual(two.results.map((hits) => hits.map((hit) => Number(hit.id))), [[0, 1], [59, 58]]);
  const sparse = await ok(client.search({ collection_name: photos, anns_field: "words", data: { 9: 2 }, limit: 1, metric_type: "IP" }));
  assert.deepEqual([Number(sparse.results[0].id), sparse.results[0].score], [9, 2]);
  for (const rerank of [RRFRanker(60), WeightedRanker([0.5, 0.5])]) {
    const hybrid = await ok(client.hybridSearch({
      collection_name: photos,
      data: [{ anns_field: "image", data: [9, 0, 0, 1] }, { anns_field: "words", data: { 9: 2 } }],
      rerank, limit: 2, output_fields: ["id", "label"],
    }));
    assert.equal(Number(hybrid.results[0].id), 9);
  }
  const params = await ok(client.query({ collection_name: photos, filter: "extra in {some}", exprValues: { some: [2, 4] }, output_fields: ["id"] }));
  assert.equal(params.data.length, 2);
  await ok(client.upsert({ collection_name: photos, data: [{ ...rows[3], label: "bird" }] }));
  assert.equal((await ok(client.get({ collection_name: photos, ids: [3], output_fields: ["label"] }))).data[0].label, "bird");
  await ok(client.delete({ collection_name: photos, filter: "extra >= 100" }));
  await ok(client.delete({ collection_name: photos, ids: [0] }));
  assert.equal(Number((await ok(client.count({ collection_name: photos }))).data), 49);
});

test("iterators", async () => {
  const ids = [];
  for await (const page of await client.queryIterator({ collection_name: photos, batchSize: 20, output_fields: ["id"], expr: "id > 0" })) ids.push(...page.map((r) => Number(r.id)));
  assert.deepEqual(ids.sort((a, b) => a - b), Array.from({ length: 49 }, (_, i) => i + 1));
  const near = [];
  for await (const page of await client.searchIterator({ collection_name: photos, anns_field: "image", data: [0, 0, 0, 1], batchSize: 10, limit: 30, params: { ef: 64 } })) near.push(...page.map((r) => Number(r.id)));
  assert.deepEqual(near, Array.from({ length: 30 }, (_, i) => i + 1));
});

test("partitions, aliases, names", async () => {
  await ok(client.createPartition({ collection_name: photos, partition_name: "p" }));
  assert.equal((await ok(client.hasPartition({ collection_name: photos, partition_name: "p" }))).value, true);
  assert.deepEqual((await ok(client.showPartitions({ collection_name: photos }))).data.map((p) => p.name).sort(), ["_default", "p"]);
  await ok(client.insert({ collection_name: photos, partition_name: "p", data: [{ ...rows[0], id: 900 }] }));
  const inside = await ok(client.query({ collection_name: photos, partition_names: ["p"], filter: "id >= 0", output_fields: ["id"] }));
  assert.deepEqual(inside.data.map((r) => Number(r.id)), [900]);
  await ok(client.createAlias({ collection_name: photos, alias: "pictures" }));
  assert.equal((await ok(client.describeAlias({ collection_name: photos, alias: "pictures" }))).collection, photos);
  assert.deepEqual((await ok(client.listAliases({ collection_name: photos }))).aliases, ["pictures"]);
  await ok(client.dropAlias({ alias: "pictures" }));
  await ok(client.alterCollectionProperties({ collection_name: photos, properties: { "collection.ttl.seconds": 3000 } }));
  const compaction = await ok(client.compact({ collection_name: photos }));
  assert.ok((await ok(client.getCompactionState({ compactionID: compaction.compactionID }))).state);
  await ok(client.releaseCollection({ collection_name: photos }));
  await ok(client.renameCollection({ collection_name: photos, new_collection_name: "renamed" }));
  assert.equal((await ok(client.hasCollection({ collection_name: photos }))).value, false);
});

test("users and roles", async () => {
  const username = `ada_${process.pid}`, roleName = `reader_${process.pid}`;
  await ok(client.createUser({ username, password: "secret1" }));
  assert.ok((await ok(client.listUsers())).usernames.includes(username));
  await ok(client.createRole({ roleName }));
  await ok(client.addUserToRole({ username, roleName }));
  await ok(client.grantPrivilege({ roleName, object: "Collection", objectName: "*", privilegeName: "Search" }));
  const grants = await ok(client.listGrants({ roleName }));
  assert.deepEqual(grants.entities.map((g) => g.grantor.privilege.name), ["Search"]);
  await ok(client.revokePrivilege({ roleName, object: "Collection", objectName: "*", privilegeName: "Search" }));
  await ok(client.removeUserFromRole({ username, roleName }));
  await ok(client.dropRole({ roleName }));
  await ok(client.updateUser({ username, oldPassword: "secret1", newPassword: "secret2" }));
  await ok(client.deleteUser({ username }));
});

test("wrong calls are answered, not tried again", async () => {
  await refused(100, () => client.query({ collection_name: "nowhere", filter: "id > 0" }));
  await refused(100, () => client.loadCollection({ collection_name: "nowhere" }));
  await refused(1100, () => client.createCollection({ collection_name: "1st", dimension: 4 }));
  const stranger = new MilvusClient({ address, token: "root:wrong", maxRetries: 0, logLevel: "error" });
  await assert.rejects(stranger.connectPromise, /hasn't authenticated|auth check failure/);
  await stranger.closeConnection().catch(() => {});
});
