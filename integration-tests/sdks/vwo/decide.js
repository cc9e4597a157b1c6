// VWO's SDK for Node, unmodified, decides through the `stickystore` command.
//
// Usage: decide.js COMMAND STORE, where the SDK is installed. It prints what it saw, a line of JSON each, and fails where
// that is not what it should be.
'use strict';

const assert = require('assert');
const { spawnSync } = require('child_process');
const path = require('path');

// Installed in the folder in which this runs, not beside this file.
const modules = path.resolve('node_modules');
const vwo = require(path.join(modules, 'vwo-node-sdk'));
const { version } = require(path.join(modules, 'vwo-node-sdk', 'package.json'));

const USER = 'ann';
const CAMPAIGN = 'button';
const [command, store] = process.argv.slice(2);

// What the SDK swallows when its service throws.
const failures = [];

function run(words, input) {
  const ran = spawnSync(command, [...words, '--json', '--store', store], { input, encoding: 'utf8' });
  // 1 says that there is no such record, or that what stands there was kept.
  if (![0, 1].includes(ran.status)) {
    failures.push(`${words[0]}: exit code ${ran.status}: ${ran.stderr}`);
    throw new Error(failures[failures.length - 1]);
  }
  return JSON.parse(ran.stdout);
}

// The SDK's User Storage Service: a run of the command for each call.
class Storage {
  constructor() {
    this.sets = [];
  }

  get(userId, campaignKey) {
    return run(['get', userId, campaignKey], '');
  }

  set(record) {
    const report = run(['set'], JSON.stringify(record));
    this.sets.push({ goals: record.goalIdentifier || '', ...report.entries[record.campaignKey] });
  }
}

// Settings whose campaign gives its variations these shares of the traffic, of 100.
function settings(weights) {
  return {
    sdkKey: 'none',
    version: 1,
    accountId: 1,
    campaigns: [
      {
        id: 1,
        key: CAMPAIGN,
        name: CAMPAIGN,
        type: 'VISUAL_AB',
        status: 'RUNNING',
        percentTraffic: 100,
        segments: {},
        goals: [
          { id: 1, identifier: 'seen', type: 'CUSTOM_GOAL' },
          { id: 2, identifier: 'bought', type: 'CUSTOM_GOAL' }
        ],
        variations: Object.entries(weights).map(([name, weight], place) => ({
          id: place + 1,
          name,
          weight,
          changes: {}
        }))
      }
    ]
  };
}

// What a new client makes of these settings, and what became of its sets. In development mode it sends nothing.
function decide(weights, act = client => client.activate(CAMPAIGN, USER), storage = new Storage()) {
  const quiet = { log() {} };
  const client = vwo.launch({
    settingsFile: settings(weights),
    isDevelopmentMode: true,
    userStorageService: storage || undefined,
    logging: { logger: quiet }
  });
  const answer = act(client);
  assert.deepStrictEqual(failures, []);
  return { answer, sets: storage ? storage.sets : [] };
}

function see(what, seen, expected) {
  console.log(JSON.stringify({ sdk: `vwo-node ${version}`, what, seen }));
  assert.deepStrictEqual(seen, expected, what);
}

const tracked = (isNew, ...sets) => ({ answer: { [CAMPAIGN]: isNew, isDevelopmentMode: true }, sets });
const red = { red: 100, blue: 0 };
const blue = { red: 0, blue: 100 };
const withoutRed = { blue: 100 };
const track = goal => client => client.track(CAMPAIGN, USER, goal);

see('without a store the traffic decides', decide(blue, undefined, null).answer, 'blue');
see('first decision', decide(red), { answer: 'red', sets: [{ goals: '', outcome: 'inserted' }] });
see('the traffic has moved, the user stays', decide(blue), { answer: 'red', sets: [] });
see('a goal', decide(blue, track('seen')), tracked(true, { goals: 'seen', outcome: 'added', goals_added: ['seen'] }));
see(
  'the SDK sends both goals, and at once the new one alone',
  decide(blue, track('bought')),
  tracked(
    true,
    { goals: 'seen_vwo_bought', outcome: 'added', goals_added: ['bought'] },
    { goals: 'bought', outcome: 'unchanged' }
  )
);
see('the first goal is not counted again', decide(blue, track('seen')), tracked(false));
see('both goals are kept', new Storage().get(USER, CAMPAIGN).goalIdentifier, 'seen_vwo_bought');

// The SDK makes its records anew, so nothing proves what it had read: it decides anew each time, and what stands there stays.
const kept = { variationName: 'red', goalIdentifier: 'seen_vwo_bought' };
const anew = { answer: 'blue', sets: [{ goals: '', outcome: 'kept', why: 'unproven', winner: kept }] };
see('the variation is gone, the user is bucketed anew', decide(withoutRed), anew);
see('and again, to the same one', decide(withoutRed), anew);
see('nothing was lost by that', new Storage().get(USER, CAMPAIGN), { userId: USER, campaignKey: CAMPAIGN, ...kept });
