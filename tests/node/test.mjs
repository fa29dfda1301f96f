// The HttpClient of Milvus's Node SDK, through every method it has, against the real program at ELANUS_URL, which asks
// for passwords.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import sdk from "@zilliz/milvus2-sdk-node";

const { HttpClient } = sdk;
const endpoint = process.env.ELANUS_URL;
const database = `node_${process.pid}`;
const client = new HttpClient({ endpoint, database, token: "root:Milvus", acceptInt64: true });
const people = "people";

// What a successful call answers with.
const ok = async (promise) => {
  const answer = await promise;
  assert.equal(answer.code, 0, JSON.stringify(answer));
  return answer.data;
};
const refused = async (code, promise) => {
  const answer = await promise;
  assert.equal(answer.code, code, JSON.stringify(answer));
  assert.ok(answer.message && !("data" in answer), JSON.stringify(answer));
};
const until = async (condition, what) => {
  for (let attempt = 0; attempt < 600; attempt++, await pause(50)) if (await condition()) return;
  assert.fail(`never happened: ${what}`);
};
const rows = Array.from({ length: 20 }, (_, i) => ({ id: i, vector: [i, 0, 0, 1], name: `n${i}`, age: i * 2, extra: { i } }));

before(async () => {
  await ok(client.createDatabase({ dbName: database }));
});
after(async () => {
  for (const collectionName of await ok(client.listCollections({ dbName: database }))) await ok(client.dropCollection({ collectionName }));
  await ok(client.dropDatabase({ dbName: database }));
});

test("every method of the client is called in this file", () => {
  const text = fs.readFileSync(new URL(import.meta.url), "utf8");
  const methods = new Set();
  for (let proto = HttpClient.prototype; proto !== Object.prototype; proto = Object.getPrototypeOf(proto))
    for (const name of Object.getOwnPropertyNames(proto))
      if (typeof Object.getOwnPropertyDescriptor(proto, name).value === "function" && !/^(constructor|GET|POST|_.*)$/.test(name)) methods.add(name);
  assert.ok(methods.size > 50, `${methods.size} methods`);
  assert.deepEqual([...methods].filter((name) => !text.includes(`.${name}(`)), []);
});

test("collections", async () => {
  await ok(client.createCollection({ collectionName: people, dimension: 4, metricType: "L2" }));
  assert.deepEqual(await ok(client.hasCollection({ collectionName: people })), { has: true });
  assert.deepEqual(await ok(client.listCollections({ dbName: database })), [people]);
  assert.ok(Array.isArray(await ok(client.listCollections())));
  const described = await ok(client.describeCollection({ collectionName: people }));
  assert.equal(described.collectionName, people);
  assert.deepEqual(described.fields.map((f) => [f.name, f.type, f.primaryKey]), [["id", "Int64", true], ["vector", "FloatVector", false]]);
  assert.deepEqual(described.indexes, [{ fieldName: "vector", indexName: "vector", metricType: "L2" }]);
  assert.equal(described.enableDynamicField, true);
  assert.equal(described.load, "LoadStateLoaded");
  assert.deepEqual(await ok(client.getCollectionLoadState({ collectionName: people })), { loadState: "LoadStateLoaded", loadProgress: 100 });
  assert.deepEqual(await ok(client.getCollectionStatistics({ collectionName: people })), { rowCount: 0 });
  await ok(client.releaseCollection({ collectionName: people }));
  assert.equal((await ok(client.getCollectionLoadState({ collectionName: people }))).loadState, "LoadStateNotLoad");
  await ok(client.loadCollection({ collectionName: people }));
  await ok(client.refreshLoad({ collectionName: people }));
  await until(async () => (await ok(client.getCollectionLoadState({ collectionName: people }))).loadProgress === 100, "loaded");
  await refused(100, client.describeCollection({ collectionName: "nowhere" }));
  await refused(1802, client.describeCollection({}));
});

test("entities", async () => {
  const collectionName = people;
  const inserted = await ok(client.insert({ collectionName, data: rows }));
  assert.equal(inserted.insertCount, 20);
  assert.deepEqual(inserted.insertIds, rows.map((row) => row.id));
  await ok(client.flushCollection({ collectionName }));
  assert.deepEqual(await ok(client.getCollectionStatistics({ collectionName })), { rowCount: 20 });
  assert.deepEqual(await ok(client.get({ collectionName, id: [3, 4], outputFields: ["name"] })), [{ id: 3, name: "n3" }, { id: 4, name: "n4" }]);
  assert.deepEqual(await ok(client.get({ collectionName, id: 5, outputFields: ["*"] })), [rows[5]]);
  assert.deepEqual(await ok(client.query({ collectionName, filter: "age > 30", outputFields: ["age"], limit: 3 })), [
    { id: 16, age: 32 },
    { id: 17, age: 34 },
    { id: 18, age: 36 },
  ]);
  assert.deepEqual(await ok(client.query({ collectionName, filter: "", outputFields: ["count(*)"] })), [{ "count(*)": 20 }]);
  assert.equal((await ok(client.query({ collectionName, outputFields: ["id"], offset: 15, limit: 100 }))).length, 5);

  const found = await client.search({ collectionName, data: [[7.1, 0, 0, 1]], limit: 3, outputFields: ["name", "extra"], filter: "age < 100" });
  assert.equal(found.code, 0);
  assert.deepEqual(found.topks, [3]);
  assert.deepEqual(found.data.map((hit) => hit.id), [7, 8, 6]);
  assert.deepEqual([found.data[0].name, found.data[0].extra], ["n7", { i: 7 }]);
  assert.ok(Math.abs(found.data[0].distance - 0.01) < 1e-4);
  const two = await client.search({ collectionName, data: [[0, 0, 0, 1], [19, 0, 0, 1]], limit: 2, annsField: "vector", searchParams: { params: { radius: 10 } } });
  assert.deepEqual(two.data.map((hits) => hits.map((hit) => hit.id)), [[0, 1], [19, 18]]);
  await refused(1801, client.search({ collectionName, data: [[1, 2]], limit: 2 }));

  const hybrid = await ok(client.hybridSearch({
    collectionName,
    search: [{ data: [[2, 0, 0, 1]], annsField: "vector", limit: 3 }, { data: [[3, 0, 0, 1]], annsField: "vector", limit: 3, filter: "age > 2" }],
    rerank: { strategy: "rrf", params: { k: 60 } },
    limit: 2,
    outputFields: ["name"],
  }));
  assert.deepEqual(hybrid.map((hit) => hit.name).sort(), ["n2", "n3"]);

  const upserted = await ok(client.upsert({ collectionName, data: [{ ...rows[1], name: "one" }, { ...rows[1], id: 100, name: "new" }] }));
  assert.deepEqual(upserted, { upsertCount: 2, upsertIds: [1, 100] });
  assert.deepEqual(await ok(client.get({ collectionName, id: ["1", "100"], outputFields: ["name"] })), [{ id: 1, name: "one" }, { id: 100, name: "new" }]);
  assert.deepEqual(await ok(client.delete({ collectionName, filter: "id in [1, 100]" })), { deleteCount: 2 });
  assert.deepEqual(await ok(client.get({ collectionName, id: [1, 100] })), []);
  assert.equal((await ok(client.getCollectionStatistics({ collectionName }))).rowCount, 19);
});

test("64-bit keys come as texts unless asked otherwise", async () => {
  const careful = new HttpClient({ baseURL: `${endpoint}/v2`, database, username: "root", password: "Milvus" });
  const big = "9223372036854775806";
  assert.deepEqual((await ok(careful.insert({ collectionName: people, data: [{ id: big, vector: [0, 0, 0, 9] }] }))).insertIds, [big]);
  assert.deepEqual(await ok(careful.get({ collectionName: people, id: big, outputFields: ["id"] })), [{ id: big }]);
  const [hit] = await ok(careful.search({ collectionName: people, data: [[0, 0, 0, 9]], limit: 1 }));
  assert.equal(hit.id, big);
  assert.equal(typeof hit.distance, "number");
  await ok(careful.delete({ collectionName: people, filter: `id in [${big}]` }));
});

test("a schema of one's own, fields and properties", async () => {
  const collectionName = "books";
  await ok(client.createCollection({
    collectionName,
    schema: {
      autoID: true,
      enableDynamicField: false,
      fields: [
        { fieldName: "key", dataType: "Int64", isPrimary: true },
        { fieldName: "title", dataType: "VarChar", elementTypeParams: { max_length: 10 } },
        { fieldName: "tags", dataType: "Array", elementDataType: "VarChar", elementTypeParams: { max_length: 10, max_capacity: 4 } },
        { fieldName: "v", dataType: "FloatVector", elementTypeParams: { dim: 2 } },
      ],
    },
    indexParams: [{ fieldName: "v", indexName: "v_idx", metricType: "COSINE", params: { index_type: "HNSW", M: "16", efConstruction: "100" } }],
  }));
  const { insertIds } = await ok(client.insert({ collectionName, data: [{ title: "Emma", tags: ["a", "b"], v: [1, 0] }] }));
  await ok(client.addCollectionField({ collectionName, schema: { fieldName: "year", dataType: "Int64", nullable: true, defaultValue: 1815 } }));
  await ok(client.alterCollectionFieldProperties({ collectionName, fieldName: "title", fieldParams: { max_length: 100 } }));
  await ok(client.insert({ collectionName, data: [{ title: "Sense and Sensibility", tags: [], v: [0, 1], year: 1811 }] }));
  assert.deepEqual(await ok(client.get({ collectionName, id: insertIds, outputFields: ["title", "tags", "year"] })), [{ key: insertIds[0], title: "Emma", tags: ["a", "b"], year: 1815 }]);
  await ok(client.alterCollectionProperties({ collectionName, properties: { "collection.ttl.seconds": 1000 } }));
  const property = async () => (await ok(client.describeCollection({ collectionName }))).properties.find((p) => p.key === "collection.ttl.seconds")?.value;
  assert.equal(await property(), "1000");
  await ok(client.dropCollectionProperties({ collectionName, propertyKeys: ["collection.ttl.seconds"] }));
  assert.equal(await property(), undefined);
  const { compactionID } = await ok(client.compactCollection({ collectionName }));
  assert.ok(Number.isInteger(compactionID));
  await until(async () => (await ok(client.getCompactionState({ collectionName, jobID: compactionID }))).state === "Completed", "compacted");
  await ok(client.renameCollection({ collectionName, newCollectionName: "novels" }));
  assert.deepEqual(await ok(client.hasCollection({ collectionName })), { has: false });
  await ok(client.dropCollection({ collectionName: "novels" }));
  assert.deepEqual(await ok(client.hasCollection({ collectionName: "novels" })), { has: false });
});

test("indexes", async () => {
  const collectionName = "indexed";
  await ok(client.createCollection({
    collectionName,
    schema: { fields: [{ fieldName: "id", dataType: "Int64", isPrimary: true }, { fieldName: "v", dataType: "FloatVector", elementTypeParams: { dim: 4 } }] },
  }));
  assert.deepEqual(await ok(client.listIndexes({ collectionName })), []);
  await ok(client.createIndex({ collectionName, indexParams: [{ fieldName: "v", indexName: "i", metricType: "L2", params: { index_type: "IVF_FLAT", nlist: 8 } }] }));
  assert.deepEqual(await ok(client.listIndexes({ collectionName })), ["i"]);
  await until(async () => (await ok(client.describeIndex({ collectionName, indexName: "i" })))[0].indexState === "Finished", "built");
  const [index] = await ok(client.describeIndex({ collectionName, indexName: "i" }));
  assert.deepEqual([index.fieldName, index.indexName, index.indexType, index.metricType], ["v", "i", "IVF_FLAT", "L2"]);
  await ok(client.alterIndexProperties({ collectionName, indexName: "i", properties: { "mmap.enabled": true } }));
  await ok(client.dropIndexProperties({ collectionName, indexName: "i", propertyKeys: ["mmap.enabled"] }));
  await refused(700, client.describeIndex({ collectionName, indexName: "none" }));
  await ok(client.dropIndex({ collectionName, indexName: "i" }));
  assert.deepEqual(await ok(client.listIndexes({ collectionName })), []);
});

test("partitions", async () => {
  const collectionName = people;
  const partitionName = "p1";
  await ok(client.createPartition({ collectionName, partitionName }));
  assert.deepEqual(await ok(client.listPartitions({ collectionName })), ["_default", "p1"]);
  assert.deepEqual(await ok(client.hasPartition({ collectionName, partitionName })), { has: true });
  await ok(client.insert({ collectionName, partitionName, data: [{ id: 500, vector: [9, 9, 9, 9] }] }));
  assert.deepEqual(await ok(client.getPartitionStatistics({ collectionName, partitionName })), { rowCount: 1 });
  assert.deepEqual(await ok(client.query({ collectionName, partitionNames: [partitionName], outputFields: ["id"], filter: "" })), [{ id: 500 }]);
  await ok(client.loadPartitions({ collectionName, partitionNames: [partitionName] }));
  await refused(1100, client.dropPartition({ collectionName, partitionName }));
  await ok(client.releasePartitions({ collectionName, partitionNames: [partitionName] }));
  await ok(client.dropPartition({ collectionName, partitionName }));
  assert.deepEqual(await ok(client.hasPartition({ collectionName, partitionName })), { has: false });
});

test("aliases", async () => {
  await ok(client.createCollection({ collectionName: "second", dimension: 4 }));
  await ok(client.createAlias({ collectionName: people, aliasName: "folk" }));
  assert.deepEqual(await ok(client.listAliases({ collectionName: people })), ["folk"]);
  assert.deepEqual(await ok(client.describeAlias({ aliasName: "folk" })), { dbName: database, collectionName: people, aliasName: "folk" });
  assert.equal((await ok(client.describeCollection({ collectionName: "folk" }))).collectionName, people);
  await ok(client.alterAlias({ collectionName: "second", aliasName: "folk" }));
  assert.equal((await ok(client.describeAlias({ aliasName: "folk" }))).collectionName, "second");
  await ok(client.dropAlias({ aliasName: "folk" }));
  await refused(1600, client.describeAlias({ aliasName: "folk" }));
});

test("databases", async () => {
  const dbName = `${database}_b`;
  await ok(client.createDatabase({ dbName, properties: { "database.max.collections": 5 } }));
  assert.ok((await ok(client.listDatabases())).includes(dbName));
  assert.equal((await ok(client.describeDatabase({ dbName }))).dbName, dbName);
  await ok(client.alterDatabaseProperties({ dbName, properties: { "database.max.collections": 7 } }));
  const value = async () => (await ok(client.describeDatabase({ dbName }))).properties.find((p) => p.key === "database.max.collections")?.value;
  assert.equal(await value(), "7");
  await ok(client.dropDatabaseProperties({ dbName, propertyKeys: ["database.max.collections"] }));
  assert.equal(await value(), undefined);
  await ok(client.createCollection({ dbName, collectionName: "x", dimension: 4 }));
  await refused(1100, client.dropDatabase({ dbName }));
  await ok(client.dropCollection({ dbName, collectionName: "x" }));
  await ok(client.dropDatabase({ dbName }));
  await refused(800, client.listCollections({ dbName }));
});

test("users and roles", async () => {
  const userName = `ada_${process.pid}`;
  const roleName = `reader_${process.pid}`;
  const privilege = { roleName, objectType: "Collection", objectName: "*", privilege: "Search" };
  await ok(client.createUser({ userName, password: "secret1" }));
  assert.ok((await ok(client.listUsers())).includes(userName));
  await ok(client.updateUserPassword({ userName, password: "secret1", newPassword: "secret2" }));
  const herself = new HttpClient({ endpoint, database, token: `${userName}:secret2` });
  await refused(1400, herself.updateUserPassword({ userName, password: "secret1", newPassword: "secret3" }));
  await ok(client.createRole({ roleName }));
  assert.ok((await ok(client.listRoles())).includes(roleName));
  await ok(client.grantPrivilegeToRole(privilege));
  const granted = await ok(client.describeRole({ roleName }));
  assert.deepEqual(granted.map((g) => [g.objectType, g.objectName, g.privilege]), [["Collection", "*", "Search"]]);
  await ok(client.grantRoleToUser({ userName, roleName }));
  assert.deepEqual(await ok(client.describeUser({ userName })), [roleName]);
  await ok(client.revokeRoleFromUser({ userName, roleName }));
  assert.deepEqual(await ok(client.describeUser({ userName })), []);
  await ok(client.revokePrivilegeFromRole(privilege));
  assert.deepEqual(await ok(client.describeRole({ roleName })), []);
  await ok(client.dropRole({ roleName }));
  await ok(client.dropUser({ userName }));
  assert.ok(!(await ok(client.listUsers())).includes(userName));
});

test("a client without the right password", async () => {
  for (const wrong of [{}, { token: "root:wrong" }, { username: "nobody", password: "Milvus" }]) {
    const stranger = new HttpClient({ endpoint, ...wrong });
    await assert.rejects(stranger.listCollections(), (error) => error.name === "HttpError" && error.status === 401 && error.message.includes("1800"));
  }
});

test("import jobs", async () => {
  const collectionName = people;
  assert.deepEqual(await ok(client.listImportJobs({ collectionName })), { records: [] });
  await refused(1802, client.createImportJobs({ collectionName }));
  const file = path.join(process.env.ELANUS_IMPORTS, "rows.json");
  fs.writeFileSync(file, JSON.stringify([{ id: 900, vector: [1, 2, 3, 4], name: "imported" }, { id: 901, vector: [4, 3, 2, 1] }]));
  const { jobId } = await ok(client.createImportJobs({ collectionName, files: [[file]] }));
  assert.equal(typeof jobId, "string");
  await until(async () => (await ok(client.getImportJobProgress({ jobId }))).state === "Completed", "imported");
  const progress = await ok(client.getImportJobProgress({ jobId }));
  assert.deepEqual([progress.progress, progress.importedRows, progress.totalRows], [100, 2, 2]);
  assert.deepEqual(await ok(client.get({ collectionName, id: [900], outputFields: ["name"] })), [{ id: 900, name: "imported" }]);
  assert.ok((await ok(client.listImportJobs({ collectionName }))).records.some((job) => job.jobId === jobId));
});
