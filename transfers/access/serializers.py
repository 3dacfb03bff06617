"""The shapes of access requests in the API: one to read, and one to write for each act."""

from typing import Any

from rest_framework import serializers

from transfers.access.models import AccessEvent, AccessRequest


class AccessEventSerializer(serializers.ModelSerializer[AccessEvent]):
    class Meta:
        model = AccessEvent
        fields = ["at", "act", "old", "new", "note"]


class AccessRequestSerializer(serializers.ModelSerializer[AccessRequest]):
    dataset = serializers.CharField(source="dataset.slug", read_only=True)
    title = serializers.CharField(source="dataset.title", read_only=True)
    person = serializers.CharField(source="user.username", read_only=True)
    identity_id = serializers.UUIDField(source="user_id", read_only=True)
    status_words = serializers.CharField(source="get_status_display", read_only=True)
    accepted_terms = serializers.IntegerField(source="acceptance.terms.number", read_only=True, default=None)
    events = AccessEventSerializer(many=True, read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        model = AccessRequest
        fields = [
            "id", "url", "dataset", "title", "person", "identity_id", "status", "status_words", "purpose", "wanted_until", "accepted_terms",
            "created_at", "decided_at", "reason", "expires_at", "events",
        ]  # fmt: skip


class AskSerializer(serializers.Serializer[Any]):
    dataset = serializers.SlugField()
    purpose = serializers.CharField()
    until = serializers.DateTimeField(required=False, allow_null=True)
    accepted_terms = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, help_text="The version of the terms that you accept"
    )


class RenewSerializer(serializers.Serializer[Any]):
    purpose = serializers.CharField()
    until = serializers.DateTimeField(required=False, allow_null=True)


class ApproveSerializer(serializers.Serializer[Any]):
    until = serializers.DateTimeField()


class DenySerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()
