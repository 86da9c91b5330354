"""What customers and staff send."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from .models import Poster


class SearchForm(forms.Form):
    q = forms.CharField(label=_("City"), max_length=100, required=False)


class OrderForm(forms.Form):
    poster = forms.ModelChoiceField(Poster.objects.filter(published=True, stock__gt=0))
    quantity = forms.IntegerField(min_value=1, max_value=20, initial=1)


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(choices=[("publish", _("Publish")), ("discard", _("Discard"))])


class QuestionForm(forms.Form):
    text = forms.CharField(label=_("Your message"), max_length=500)


def first_error(form: forms.Form) -> str:
    """Return what to tell somebody whose form cannot be used."""
    return next(str(error) for errors in form.errors.values() for error in errors)
