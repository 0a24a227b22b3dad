// A third-party SAML identity provider on loopback for tests: it signs in whoever is named, without asking.
// node saml.cjs <folder of node_modules> <settings.json>; prints one line of JSON when it listens.
// Settings: {issuer, recipient, audience, keys: [{key, cert}] (PEM texts), users: {name: {attribute: value or list}}}.
const { createRequire } = require('node:module');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const [, , modules, file] = process.argv;
const load = createRequire(join(modules, 'x.js'));
const express = load('express'), samlp = load('samlp');
const settings = JSON.parse(readFileSync(file));
let { users } = settings, pair = settings.keys[0];

// A plain function, since samlp looks for the mapper's prototype.
function Mapper(user) {
  return {
    getClaims: () => user.attributes,
    getNameIdentifier: () => ({ nameIdentifier: user.name, nameIdentifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' }),
  };
}
Mapper.prototype.metadata = [];

const options = () => ({
  ...pair, issuer: settings.issuer, audience: settings.audience, recipient: settings.recipient, destination: settings.recipient,
  lifetimeInSeconds: 300, signatureAlgorithm: 'rsa-sha256', digestAlgorithm: 'sha256', profileMapper: Mapper,
  redirectEndpointPath: '/saml2', postEndpointPath: '/saml2',
  getPostURL: (audience, request, http, done) => done(null, settings.recipient),
  getUserFromRequest: ({ query }) => users[query.user] && { name: query.user, attributes: users[query.user] },
});

const app = express();
app.get('/metadata', (request, response, next) => samlp.metadata(options())(request, response, next));
app.get('/saml2', (request, response, next) => (users[request.query.user]
  ? samlp.auth(options())(request, response, next) : response.status(401).json({ error: 'AADSTS50105' })));
app.post('/_test/set', express.json(), (request, response) => { ({ users = users } = request.body); response.json({}); });
app.post('/_test/rotate', (request, response) => { pair = settings.keys[settings.keys.indexOf(pair) + 1]; response.json({}); });
const server = app.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })));
process.stdin.resume().on('end', () => process.exit(0));
