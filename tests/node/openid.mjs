// A third-party OpenID provider on loopback for tests: TLS, a page that signs in whoever is named, and levers that tests pull.
// node openid.mjs <folder of node_modules> <PEM with key and chain>; prints one line of JSON when it listens.
import https from 'node:https';
import { createRequire } from 'node:module';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [, , modules, pem] = process.argv;
const { Provider, interactionPolicy } = await import(pathToFileURL(createRequire(join(modules, 'x.js')).resolve('oidc-provider')));

const makeKey = (number) => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: `key${number}`, alg: 'RS256', use: 'sig',
});
const text = async (request) => { let all = ''; for await (const part of request) all += part; return all; };
const say = (response, value) => { response.setHeader('content-type', 'application/json'); response.end(JSON.stringify(value)); };

let issuer = '', named = '', keys = [makeKey(1)], clients = [], users = {}, isThin = false, provider;

// What people have begun outlives a rotation, as at a provider with a database.
const kept = new Map();
class Memory {
  constructor(model) { this.at = (id) => `${model}:${id}`; this.model = model; }
  async upsert(id, payload) { kept.set(this.at(id), payload); }
  async find(id) { return kept.get(this.at(id)); }
  async findByUid(uid) { return [...kept].find(([at, one]) => at.startsWith(`${this.model}:`) && one.uid === uid)?.[1]; }
  async findByUserCode(code) { return [...kept].find(([at, one]) => at.startsWith(`${this.model}:`) && one.userCode === code)?.[1]; }
  async consume(id) { Object.assign(kept.get(this.at(id)), { consumed: Math.floor(Date.now() / 1000) }); }
  async destroy(id) { kept.delete(this.at(id)); }
  async revokeByGrantId(grantId) { for (const [at, one] of kept) if (at.startsWith(`${this.model}:`) && one.grantId === grantId) kept.delete(at); }
}

function build() {
  const policy = interactionPolicy.base();
  policy.get('consent').checks.clear();
  provider = new Provider(named || issuer, {
    adapter: Memory,
    jwks: { keys }, clients, cookies: { keys: ['for tests only'] }, pkce: { required: () => true },
    // Claims of a profile come in the ID token, or (thin) from the UserInfo endpoint only.
    conformIdTokenClaims: isThin,
    claims: { openid: ['sub', 'oid', 'tid', 'uti', 'sid', 'acrs', 'amr', 'groups', '_claim_names', '_claim_sources'], profile: ['name', 'preferred_username'], email: ['email'] },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    features: { devInteractions: { enabled: false }, userinfo: { enabled: true } },
    interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, sub) => users[sub] && { accountId: sub, claims: () => ({ sub, ...users[sub] }) },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
  });
}

const levers = {
  '/_test/set': (wanted) => { ({ clients = clients, users = users, isThin = isThin, named = named } = wanted); kept.clear(); build(); return {}; },
  // The new key signs; the old one is published no more, or (keep) beside it.
  '/_test/rotate': ({ keep }) => { keys = [makeKey(Date.now()), ...(keep ? keys : [])]; build(); return { kid: keys[0].kid }; },
};

const server = https.createServer({ key: readFileSync(pem), cert: readFileSync(pem) }, async (request, response) => {
  const path = new URL(request.url, issuer).pathname;
  if (levers[path]) return say(response, levers[path](JSON.parse((await text(request)) || '{}')));
  if (path.startsWith('/interaction/') && request.method === 'POST') {
    const name = new URLSearchParams(await text(request)).get('username');
    const result = users[name] ? { login: { accountId: name, amr: users[name].amr } } : { error: 'access_denied', error_description: 'no such person' };
    return provider.interactionFinished(request, response, result);
  }
  if (path.startsWith('/interaction/')) return say(response, (await provider.interactionDetails(request, response)).prompt);
  return provider.callback()(request, response);
});
server.listen(0, '127.0.0.1', () => {
  issuer = `https://127.0.0.1:${server.address().port}`;
  build();
  console.log(JSON.stringify({ issuer }));
});
process.stdin.resume().on('end', () => process.exit(0));
