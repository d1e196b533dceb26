package cloudtrail

import (
	"slices"
	"sort"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// maxTargets bounds the identifiers of one record.
const maxTargets = 32

// identifiers are parameters, of calls that the table of kinds does not have,
// that name what is acted on. Parameters that name what is only used (a key, a
// role, an image, a subnet) are not among them.
var identifiers = map[string]bool{
	"resourceArn": true, "resourceARN": true, "resourceId": true, "resourceIds": true, "resourceName": true, "resourceARNList": true,
	"arn": true, "id": true, "name": true, "identifier": true, "resource": true,
	"instanceId": true, "instanceIds": true, "dBInstanceIdentifier": true, "dBClusterIdentifier": true, "bucketName": true,
	"roleName": true, "userName": true, "groupName": true, "groupId": true, "policyArn": true, "policyName": true,
	"functionName": true, "autoScalingGroupName": true, "launchTemplateId": true, "launchTemplateName": true,
	"volumeId": true, "snapshotId": true, "vpcId": true, "subnetId": true, "routeTableId": true, "networkInterfaceId": true,
	"allocationId": true, "associationId": true, "tableName": true, "queueUrl": true, "queueName": true, "topicArn": true,
	"clusterName": true, "clusterIdentifier": true, "cluster": true, "service": true, "serviceName": true,
	"nodegroupName": true, "loadBalancerArn": true, "loadBalancerName": true, "targetGroupArn": true, "listenerArn": true,
	"ruleArn": true, "hostedZoneId": true, "logGroupName": true, "secretId": true, "aliasName": true, "keyId": true,
	"stackName": true, "stackId": true, "repositoryName": true, "domainName": true, "streamName": true, "pipelineName": true,
	"projectName": true, "applicationName": true, "environmentName": true, "distributionId": true, "restApiId": true, "apiId": true,
	"certificateArn": true, "fileSystemId": true, "alarmName": true, "ruleName": true, "stateMachineArn": true, "webACLId": true,
	"trailName": true, "detectorId": true, "configRuleName": true, "userPoolId": true, "cacheClusterId": true, "replicationGroupId": true,
}

// targets returns what was acted on, the most specific first, and its type.
func (r *reader) targets(e *event, k *kind) ([]string, string) {
	t := found{}
	typ := ""
	if k != nil {
		typ = k.typ
		for _, name := range k.ids {
			n := len(t.list)
			t.named(e.RequestParameters, name)
			t.named(e.ResponseElements, name)
			if n == 0 && len(t.list) == 1 && k.arn != "" && !strings.HasPrefix(t.list[0], "arn:") {
				t.list = slices.Insert(t.list, 0, e.arn(k.arn, t.list[0]))
			}
		}
	}
	t.resources(e.Resources)
	if len(t.list) == 0 {
		t.known(e.RequestParameters, 0)
		t.known(e.ResponseElements, 0)
		sort.SliceStable(t.list, func(i, j int) bool {
			return strings.HasPrefix(t.list[i], "arn:") && !strings.HasPrefix(t.list[j], "arn:")
		})
	}
	if typ == "" {
		typ = commonType(t.list)
	}
	return t.list, typ
}

// commonType returns the type of those identifiers that tell one, "" if they
// tell several.
func commonType(ids []string) string {
	typ := ""
	for _, id := range ids {
		one := typeOf(id)
		if one != "" && typ != "" && one != typ {
			return ""
		}
		if one != "" {
			typ = one
		}
	}
	return typ
}

// arn builds an ARN of the event's account and region.
func (e *event) arn(pattern, id string) string {
	partition := "aws"
	switch {
	case strings.HasPrefix(e.AWSRegion, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(e.AWSRegion, "us-gov-"):
		partition = "aws-us-gov"
	}
	return "arn:" + partition + ":" + strings.NewReplacer("{region}", e.AWSRegion, "{account}", e.account(), "{id}", strings.TrimPrefix(id, "/")).Replace(pattern)
}

// found collects identifiers, each once.
type found struct{ list []string }

func (t *found) add(x any) {
	switch x := x.(type) {
	case string:
		if x == "" || len(x) > maxName || len(t.list) >= maxTargets || slices.Contains(t.list, x) || penumbra.LooksSecret("", penumbra.String(x)) {
			return
		}
		t.list = append(t.list, clean(x, maxName))
	case []any:
		for _, element := range x {
			if text, ok := element.(string); ok {
				t.add(text)
			}
		}
	}
}

// named adds the values of the parameter of this name, at any depth.
func (t *found) named(x any, name string) {
	t.walk(x, 0, func(field string) bool { return field == name })
}

// known adds the values of all parameters that are identifiers.
func (t *found) known(x any, depth int) {
	t.walk(x, depth, func(field string) bool { return identifiers[field] })
}

// maxWalk bounds how deep identifiers are looked for.
const maxWalk = 8

func (t *found) walk(x any, depth int, is func(field string) bool) {
	if depth > maxWalk || len(t.list) >= maxTargets {
		return
	}
	switch x := x.(type) {
	case map[string]any:
		if tag, _ := x["key"].(string); tag != "" && x["value"] != nil {
			if is("resourceId") {
				t.add(x["resourceId"]) // a scaling group's tags name the group
			}
			return // a tag's key and value name nothing
		}
		names := make([]string, 0, len(x))
		for name := range x {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if is(name) {
				t.add(x[name])
			}
		}
		for _, name := range names {
			switch x[name].(type) {
			case map[string]any, []any:
				t.walk(x[name], depth+1, is)
			}
		}
	case []any:
		for _, element := range x {
			t.walk(element, depth+1, is)
		}
	}
}

// resources adds the ARNs of the event's own list.
func (t *found) resources(x any) {
	list, _ := x.([]any)
	for _, element := range list {
		object, _ := element.(map[string]any)
		t.add(object["ARN"])
		t.add(object["arn"])
	}
}
