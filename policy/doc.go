// Package policy answers: who may do what to which proposal, how many people
// have to agree, and when may it be carried out? It is called with the files of
// the user's policies, written in Cedar (https://www.cedarpolicy.com), and with
// the maintenance windows, and then with a question for each act.
//
// It guarantees that without a policy everything is left to people, one of them
// being enough; that Penumbra itself may do nothing that no policy which names
// it permits, and may destroy or replace nothing that this policy does not name
// besides; and that a policy that cannot be evaluated refuses.
package policy
